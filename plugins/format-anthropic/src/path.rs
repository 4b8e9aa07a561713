//! Where something stands in a body, put into words only when somebody has to read it.

use std::fmt;

/// `messages[2].content[0]`: a member, perhaps an item of it, of what stands at the path before.
#[derive(Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    member: &'static str,
    item: Option<usize>,
}

impl<'p> Path<'p> {
    pub(crate) fn of(member: &'static str) -> Self {
        Path { parent: None, member, item: None }
    }

    pub(crate) fn item_of(member: &'static str, item: usize) -> Self {
        Path { item: Some(item), ..Path::of(member) }
    }

    pub(crate) fn item(&'p self, member: &'static str, item: usize) -> Path<'p> {
        Path { parent: Some(self), ..Path::item_of(member, item) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(formatter, "{parent}.")?;
        }
        formatter.write_str(self.member)?;
        self.item.map_or(Ok(()), |item| write!(formatter, "[{item}]"))
    }
}
