use super::*;
use http::header::CONTENT_TYPE;

fn headers(content_type: &str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(content_type).expect("a value"))])
}

fn read(body: &str) -> Result<Form, FormError> {
    let headers = headers("multipart/form-data; boundary=XX");
    Form::of(&headers, &Bytes::copy_from_slice(body.as_bytes())).expect("a form")
}

fn edited(form: &Form, edits: &[(&str, Option<&str>)]) -> String {
    let edits: Vec<Edit> = edits.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
    String::from_utf8(form.edited(&edits).expect("they can be made").concat()).expect("UTF-8")
}

const FORM: &str = "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nopenai/whisper\r\n--XX\r\n\
    content-disposition: form-data; name=file; filename=\"a \\\"b\\\".mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\
    \u{1}--XX\r\n--XXX\r\n\r\n--XX\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--XX--\r\n";

#[test]
fn fields_are_found_and_what_looks_like_a_boundary_is_none() {
    let form = read(FORM).expect("a form");
    assert_eq!(form.text("model"), Ok(Some("openai/whisper")));
    assert_eq!(form.text("empty"), Ok(Some("")));
    assert_eq!(form.text("stream"), Ok(None));
    assert_eq!(form.text("file"), Err("the field `file` must be a text".to_owned()));
    let json: Value = serde_json::from_str(&form.as_json()).expect("JSON");
    let file = json!({"filename": "a \"b\".mp3", "content_type": "audio/mpeg", "bytes": 14});
    assert_eq!(json, json!({"model": "openai/whisper", "file": file, "empty": ""}));
}

#[test]
fn an_edit_leaves_every_other_byte() {
    let form = read(FORM).expect("a form");
    assert_eq!(edited(&form, &[]), FORM);
    assert_eq!(edited(&form, &[("model", Some("\"whisper\""))]), FORM.replace("openai/whisper", "whisper"));
    assert_eq!(
        edited(&form, &[("model", Some("\"a\"")), ("model", Some("\"b\""))]),
        FORM.replace("openai/whisper", "b")
    );
    let without = edited(&form, &[("model", None)]);
    assert_eq!(
        without,
        FORM.split_once("--XX\r\n").map(|(_, rest)| &rest[rest.find("--XX").expect("next")..]).expect("two")
    );
    let more = edited(&form, &[("n", Some("3"))]);
    assert_eq!(more, format!("--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n3\r\n{FORM}"));
    assert_eq!(read(&more).expect("still a form").text("n"), Ok(Some("3")));
}

#[test]
fn a_value_cannot_break_out() {
    let form = read(FORM).expect("a form");
    let breaking = [("model".to_owned(), Some("\"x\\r\\n--XX\\r\\n\"".to_owned()))];
    assert!(form.edited(&breaking).is_err());
    assert!(form.edited(&[("a\"b".to_owned(), Some("1".to_owned()))]).is_err());
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let part = |head: &str| format!("--XX\r\n{head}\r\n\r\nvalue\r\n--XX--");
    for (body, error) in [
        (String::new(), FormError::NoBeginning),
        ("nothing".to_owned(), FormError::NoBeginning),
        ("--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue".to_owned(), FormError::CutShort),
        ("--XX\r\n\r\nvalue\r\n--XX--".to_owned(), FormError::NoName),
        (part("Content-Disposition: form-data"), FormError::NoName),
        (part("Content-Disposition: form-data; name=\"a\"; name=\"b\""), FormError::NoName),
        (part("Content-Disposition: form-data; name=\"a"), FormError::NoName),
        (part("Content-Disposition: form-data; name=\"a\" junk"), FormError::NoName),
        (part("Content-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b"), FormError::NoName),
        (part("Content-Disposition: form-data; name=a;\r\n filename=b"), FormError::NoName),
        (part("Content-Disposition: form-data; name=a\r\nX-A: b\r\n content-type: text/plain"), FormError::NoName),
        (part("Content-Disposition: form-data; name=a\r\nnothing"), FormError::NoName),
        (part("Content-Disposition: form-data; name=a\r\nX-A: b\nContent-Type: text/plain"), FormError::NoName),
        (part("Content-Disposition : form-data; name=a"), FormError::NoName),
        (part("Content-Disposition: form-data; name=a; filename=\"\""), FormError::NamelessFile("a".to_owned())),
        (part("Content-Disposition: form-data; name=a; filename*=utf-8''"), FormError::NamelessFile("a".to_owned())),
        (part("Content-Disposition: form-data; name=a; filename*=utf-8''b"), FormError::NamelessFile("a".to_owned())),
        (part("Content-Disposition: form-data; name=\"pro\\mpt\""), FormError::NoName),
    ] {
        assert_eq!(read(&body).err(), Some(error), "{body:?}");
    }
    let twice = read(
        "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XX\r\n\
        Content-Disposition: form-data; name=a\r\n\r\n2\r\n--XX--",
    );
    assert!(twice.expect("a form").text("a").is_err());
}

/// To lenient readers, a line break is a line break.
#[test]
fn boundaries_that_only_some_readers_see_are_refused() {
    let inside = |text: &str| {
        format!("--XX\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nRIFF{text}\r\n--XX--\r\n")
    };
    let field = "Content-Disposition: form-data; name=prompt";
    for body in [
        inside(&format!("\n--XX\n{field}\n\nhidden")),
        inside(&format!("\r--XX\r{field}\r\rhidden")),
        inside(&format!("\n--XX\r\n{field}\r\n\r\nhidden")),
        inside(&format!("\r\n--XX\n{field}\n\nhidden")),
        inside("\n--XX--"),
        format!("\n--XX\r\n{field}\r\n\r\nhidden\r\n{}", inside("")),
    ] {
        assert_eq!(read(&body).err(), Some(FormError::LooseBoundary), "{body:?}");
    }
    let both = "--XX\r\nContent-Disposition: form-data; name=file; filename=a; filename*=utf-8''b\r\n\r\n1\r\n--XX--";
    assert!(read(both).expect("a form").text("file").is_err(), "a file to everybody");
}

/// Who decodes them reads something else than who does not: a policy, for instance.
#[test]
fn texts_are_what_their_bytes_are() {
    let text = |head: &str, value: &str| {
        let form = format!("--XX\r\nContent-Disposition: form-data; name=a\r\n{head}\r\n\r\n{value}\r\n--XX--");
        read(&form).map(|form| form.text("a").expect("a text").map(str::to_owned))
    };
    let plain = |value: &str| Ok(Some(value.to_owned()));
    for head in
        ["Content-Type: text/plain", "content-type: text/plain; charset=\"UTF-8\"", "Content-Transfer-Encoding: 8bit"]
    {
        assert_eq!(text(head, "grüß"), plain("grüß"), "{head}");
    }
    let as_java_writes = "Content-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit";
    assert_eq!(text(as_java_writes, "hello"), plain("hello"));
    let encoded = Err(FormError::Encoded("a".to_owned()));
    for (head, value) in [
        (as_java_writes, "grüß"),
        ("Content-Transfer-Encoding: base64", "aGVsbG8="),
        ("content-transfer-encoding: Quoted-Printable", "=68ello"),
        ("Content-Type: text/plain; charset=utf-7", "+AGg-ello"),
        ("Content-Type: text/plain; charset=utf-16", "hello"),
    ] {
        assert_eq!(text(head, value), encoded, "{head}");
    }
}

#[test]
fn boundaries_are_read_as_the_standard_has_them() {
    let of = |content_type: &str| {
        let body = Bytes::from_static(b"--a'b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--a'b--");
        Form::of(&headers(content_type), &body).map(|form| form.is_ok())
    };
    assert_eq!(of("multipart/form-data; boundary=\"a'b\""), Some(true));
    assert_eq!(of("Multipart/Form-Data; charset=utf-8; Boundary=a'b"), Some(true));
    assert_eq!(of("multipart/form-data"), Some(false));
    assert_eq!(of("multipart/form-data; boundary=\"a b\""), Some(false));
    assert_eq!(of("multipart/form-data; boundary=a'b; boundary=c"), Some(false));
    assert_eq!(of("application/json"), None);
}

#[test]
fn changes_of_a_form_that_was_read_as_json_are_edits() {
    let members = |text: &'static str| Members::of(text.as_bytes()).expect("an object");
    let before = members(r#"{"a":"1","b":"2","f":{"bytes":3}}"#);
    let edits = Form::edits_between(&before, &members(r#"{"a":"9","f":{"bytes":3},"c":4}"#));
    let edit = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    assert_eq!(edits, Ok(vec![edit("b", None), edit("a", Some("\"9\"")), edit("c", Some("4"))]));
    assert!(Form::edits_between(&before, &members(r#"{"a":"1","b":"2","f":"x"}"#)).is_err());
}
