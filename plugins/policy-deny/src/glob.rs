//! Patterns for model names.

/// `*` stands for anything, `?` for one character; upper and lower case are the same.
pub(crate) struct Glob(Vec<char>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Glob(pattern.to_lowercase().chars().collect())
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.to_lowercase().chars().collect();
        let pattern = &self.0;
        let (mut p, mut n) = (0, 0);
        // Where the last `*` stands, and how much of the name it has taken: only it ever needs to take more.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(letter) if *letter == '?' || *letter == name[n] => {
                    p += 1;
                    n += 1;
                }
                Some(_) | None => {
                    let Some((at, taken)) = star else { return false };
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
            }
        }
        pattern[p..].iter().all(|letter| *letter == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, matching, other) in [
            ("gpt-4o", "GPT-4o", "gpt-4o-mini"),
            ("gpt-*", "gpt-", "a-gpt-4"),
            ("*-mini", "gpt-4o-mini", "gpt-4o-mini-2"),
            ("claude-*-4?", "claude-opus-45", "claude-opus-4"),
            ("*a*b*", "xaybz", "xbya"),
            ("*", "", "never"),
        ] {
            assert!(Glob::new(pattern).matches(matching), "{pattern} {matching}");
            assert_eq!(Glob::new(pattern).matches(other), pattern == "*", "{pattern} {other}");
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        assert!(!Glob::new(&"*a".repeat(200)).matches(&"b".repeat(20_000)));
    }
}
