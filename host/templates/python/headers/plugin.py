"""{{description}}: `$name` in a header's value stands for the variable, everything else for itself."""

import re

from plugway import Headers, Problem

VARIABLE = re.compile(r"\$([A-Za-z0-9_.-]*)")


def variables(template: str) -> list[str]:
    names = VARIABLE.findall(template)
    if "" in names:
        raise Problem("invalid-request", "after `$` comes the name of a variable")
    return names


def render(templates: Headers, values: dict[str, str]) -> Headers:
    return [(name, VARIABLE.sub(lambda found: values.get(found[1], ""), template)) for name, template in templates]
