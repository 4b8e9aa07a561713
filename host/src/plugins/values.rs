//! Values of the contract as JSON, by the types that a component declares: what tools read and write.
//!
//! Members are named as in Rust (`retry_after_ms`), a case of a variant stands by its name or as `{"case": payload}`, and
//! what is absent is left out. Reading is generous, so that people can write it: `null` is absent, an absent list is empty, text may be written as
//! the JSON that it holds, a record as a list of its members in order, and names and values as a mapping.

use serde_json::{Map, Number, Value};
use wasmtime::component::Val;
use wasmtime::component::types::{Record, Type};

/// A value for a place of this type. The error says where the JSON does not fit.
pub fn from_json(ty: &Type, value: &Value) -> Result<Val, String> {
    match (ty, value) {
        (Type::Bool, Value::Bool(value)) => Ok(Val::Bool(*value)),
        (Type::U8, value) => whole(value).map(Val::U8),
        (Type::U16, value) => whole(value).map(Val::U16),
        (Type::U32, value) => whole(value).map(Val::U32),
        (Type::U64, value) => whole(value).map(Val::U64),
        (Type::String, Value::String(text)) => Ok(Val::String(text.clone())),
        (Type::String, Value::Null) => Err("must be text, is absent".to_owned()),
        (Type::String, value) => Ok(Val::String(value.to_string())),
        (Type::List(list), Value::Array(items)) => {
            let items = items.iter().enumerate();
            let items =
                items.map(|(at, item)| from_json(&list.ty(), item).map_err(|error| below(&at.to_string(), &error)));
            items.collect::<Result<_, _>>().map(Val::List)
        }
        (Type::List(_), Value::Null) => Ok(Val::List(Vec::new())),
        (Type::List(list), Value::Object(members)) if matches!(list.ty(), Type::Record(_)) => {
            let pairs =
                members.iter().map(|(name, value)| Value::from(vec![Value::from(name.as_str()), value.clone()]));
            pairs.map(|pair| from_json(&list.ty(), &pair)).collect::<Result<_, _>>().map(Val::List)
        }
        (Type::Record(record), Value::Object(members)) => record_of_members(record, members),
        (Type::Record(record), Value::Array(items)) if items.len() == record.fields().len() => {
            let fields = record.fields().zip(items);
            let fields = fields.map(|(field, item)| Ok((field.name.to_owned(), from_json(&field.ty, item)?)));
            fields.collect::<Result<_, String>>().map(Val::Record)
        }
        (Type::Option(_), Value::Null) => Ok(Val::Option(None)),
        (Type::Option(option), value) => Ok(Val::Option(Some(Box::new(from_json(&option.ty(), value)?)))),
        (Type::Variant(variant), value) => {
            let (name, payload) = case(value)?;
            let cases: Vec<_> = variant.cases().collect();
            let Some(case) = cases.iter().find(|case| same_name(case.name, name)) else {
                return Err(unknown(name, cases.iter().map(|case| case.name)));
            };
            let payload = match &case.ty {
                None => None,
                Some(ty) => Some(Box::new(from_json(ty, payload).map_err(|error| below(name, &error))?)),
            };
            Ok(Val::Variant(case.name.to_owned(), payload))
        }
        (Type::Enum(names), Value::String(name)) => match names.names().find(|known| same_name(known, name)) {
            Some(known) => Ok(Val::Enum(known.to_owned())),
            None => Err(unknown(name, names.names())),
        },
        (ty, value) => Err(format!("must be {}, is {value}", expected(ty))),
    }
}

fn record_of_members(record: &Record, members: &Map<String, Value>) -> Result<Val, String> {
    let known = |name: &str| record.fields().any(|field| same_name(field.name, name));
    if let Some(name) = members.keys().find(|name| !known(name)) {
        return Err(unknown(name, record.fields().map(|field| field.name)));
    }
    let fields = record.fields().map(|field| {
        let given =
            members.iter().find(|(name, _)| same_name(field.name, name)).map_or(&Value::Null, |(_, value)| value);
        let value = from_json(&field.ty, given).map_err(|error| below(&snake(field.name), &error))?;
        Ok((field.name.to_owned(), value))
    });
    fields.collect::<Result<_, String>>().map(Val::Record)
}

fn whole<N: TryFrom<u64>>(value: &Value) -> Result<N, String> {
    let number = value.as_u64().and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| format!("must be a whole number that is not too large, is {value}"))
}

/// `"name"` or `{"name": payload}`.
fn case(value: &Value) -> Result<(&str, &Value), String> {
    match value {
        Value::String(name) => Ok((name, &Value::Null)),
        Value::Object(members) if members.len() == 1 => {
            members.iter().next().map(|(name, payload)| (name.as_str(), payload)).ok_or_else(String::new)
        }
        other => Err(format!("must be a name or {{\"name\": value}}, is {other}")),
    }
}

/// Whether two ways of writing a name mean the same: `invalid-request`, `invalid_request`, `InvalidRequest`.
pub fn same_name(one: &str, other: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = char> {
        name.chars().filter(|letter| !matches!(letter, '-' | '_')).map(|letter| letter.to_ascii_lowercase())
    }
    letters(one).eq(letters(other))
}

/// A name of Rust in the words of the WIT: `InvalidRequest` is `invalid-request`.
pub fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

fn snake(name: &str) -> String {
    name.replace('-', "_")
}

fn unknown<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    format!("`{name}` is unknown; there is {}", known.map(snake).collect::<Vec<_>>().join(", "))
}

fn below(place: &str, error: &str) -> String {
    format!("{place}: {error}")
}

fn expected(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "true or false",
        Type::List(_) => "a list",
        Type::Record(_) => "a mapping",
        Type::Enum(_) => "a name",
        _ => "of a type that this contract does not use",
    }
}

/// A value that a component gave.
pub fn to_json(value: &Val) -> Value {
    match value {
        Val::Bool(value) => Value::Bool(*value),
        Val::U8(value) => Value::from(*value),
        Val::U16(value) => Value::from(*value),
        Val::U32(value) => Value::from(*value),
        Val::U64(value) => Value::from(*value),
        Val::S8(value) => Value::from(*value),
        Val::S16(value) => Value::from(*value),
        Val::S32(value) => Value::from(*value),
        Val::S64(value) => Value::from(*value),
        Val::Float32(value) => Number::from_f64(f64::from(*value)).map_or(Value::Null, Value::Number),
        Val::Float64(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Val::Char(value) => Value::String(value.to_string()),
        Val::String(text) => Value::String(text.clone()),
        Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => items.iter().map(to_json).collect(),
        Val::Map(pairs) => pairs.iter().map(|(key, value)| Value::from(vec![to_json(key), to_json(value)])).collect(),
        Val::Record(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !matches!(value, Val::Option(None)))
                .map(|(name, value)| (snake(name), to_json(value)))
                .collect(),
        ),
        Val::Variant(name, None) | Val::Enum(name) => Value::String(name.clone()),
        Val::Variant(name, Some(payload)) => Value::Object(Map::from_iter([(name.clone(), to_json(payload))])),
        Val::Option(value) => value.as_deref().map_or(Value::Null, to_json),
        Val::Result(Ok(value)) => value.as_deref().map_or(Value::Null, to_json),
        Val::Result(Err(error)) => error.as_deref().map_or(Value::Null, to_json),
        Val::Flags(names) => names.iter().map(|name| Value::String(name.clone())).collect(),
        Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => Value::Null,
    }
}
