//! A request as its members in their order. What has extension members further down is taken apart while it is read,
//! everything else is carried as the text that it is.

use plugway_sdk::chat::{Extra, Json, Text};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;

pub(super) struct Members<'a>(pub(super) Vec<(Text<'a>, Member<'a>)>);

pub(super) enum Member<'a> {
    Messages(Vec<Extra<'a>>),
    Tools(Vec<Extra<'a>>),
    Other(Json<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    let member = match &*name {
                        "messages" => map.next_value::<Option<_>>()?.map(Member::Messages),
                        "tools" => map.next_value::<Option<_>>()?.map(Member::Tools),
                        _ => Some(Member::Other(map.next_value()?)),
                    };
                    members.extend(member.map(|member| (name, member)));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, member)| (name, member)))
    }
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Member::Messages(list) | Member::Tools(list) => list.serialize(serializer),
            Member::Other(value) => value.serialize(serializer),
        }
    }
}
