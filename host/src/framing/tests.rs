//! However a body is split into reads, the frames are the same. Every check here goes through `decode`, which holds
//! that for each body it is given.

use super::*;

const LIMIT: usize = 1 << 20;

type Decoded = (Vec<Frame>, Result<(), FramingError>);

fn decode_reads<'a>(framing: Framing, limit: usize, reads: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = Decoder::new(framing, limit);
    let mut frames = Vec::new();
    for read in reads {
        if let Err(error) = decoder.push(Bytes::copy_from_slice(read), &mut frames) {
            return (frames, Err(error));
        }
    }
    let end = decoder.finish(&mut frames);
    (frames, end)
}

/// Decodes the body in one read and holds that every split in two, single bytes and a hundred random splits say the
/// same, and that nothing of the body is lost on the way to `raw`.
fn decode_within(framing: Framing, limit: usize, body: &[u8]) -> Decoded {
    let whole = decode_reads(framing, limit, [body]);
    for at in 0..=body.len() {
        let (before, after) = body.split_at(at);
        assert_eq!(decode_reads(framing, limit, [before, after]), whole, "split at {at}: {}", body.escape_ascii());
    }
    assert_eq!(decode_reads(framing, limit, body.chunks(1)), whole, "byte by byte: {}", body.escape_ascii());
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..100 {
        let mut rest = body;
        let mut reads = Vec::new();
        while !rest.is_empty() {
            let (read, left) = rest.split_at(random.usize(1..=rest.len().min(40)));
            reads.push(read);
            rest = left;
        }
        assert_eq!(decode_reads(framing, limit, reads), whole, "random split: {}", body.escape_ascii());
    }
    if whole.1.is_ok() {
        let raw: Vec<u8> = whole.0.iter().flat_map(|frame| frame.raw.to_vec()).collect();
        assert_eq!(raw, body, "the raw parts are the body");
    }
    whole
}

fn decode(framing: Framing, body: &[u8]) -> Decoded {
    decode_within(framing, LIMIT, body)
}

fn names_and_data(frames: &[Frame]) -> Vec<(&str, &str)> {
    frames.iter().map(|frame| (frame.name.as_str(), frame.data.as_str())).collect()
}

/// The body is whole, and these are its frames by name and data; comments are `("", "")`.
fn check(framing: Framing, body: impl AsRef<[u8]>, expected: &[(&str, &str)]) {
    let (frames, end) = decode(framing, body.as_ref());
    assert_eq!(end, Ok(()));
    assert_eq!(names_and_data(&frames), expected);
}

fn check_sse(body: &str, expected: &[(&str, &str)]) {
    check(Framing::Sse, body, expected);
}

#[test]
fn sse_ends_lines_with_lf_cr_or_crlf() {
    let body = "event: a\ndata: 1\n\ndata: 2\n\n";
    let expected = [("a", "1"), ("", "2")];
    check_sse(body, &expected);
    check_sse(&body.replace('\n', "\r"), &expected);
    check_sse(&body.replace('\n', "\r\n"), &expected);
    check_sse("event: a\r\ndata: 1\r\n\ndata: 2\r\r", &expected);
    check_sse("event: a\rdata: 1\n\rdata: 2\r\n\r", &expected);
}

#[test]
fn sse_does_not_hold_an_event_back_for_a_line_feed_that_need_not_come() {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(Framing::Sse, LIMIT);
    decoder.push(Bytes::from_static(b"data: 1\r\r"), &mut frames).unwrap();
    assert_eq!(names_and_data(&frames), [("", "1")]);
}

#[test]
fn sse_counts_the_line_feed_of_a_late_crlf_once() {
    let (frames, end) = decode(Framing::Sse, b"data: 1\r\n\r\ndata: 2\r\n\r\n");
    assert_eq!(end, Ok(()));
    assert_eq!(frames[0].raw, "data: 1\r\n\r\n");
    assert_eq!(frames[1].raw, "data: 2\r\n\r\n");
    // Nothing said yet that CRs are followed by LFs, so the LF is the next frame's, and no blank line there.
    let (frames, _) = decode(Framing::Sse, b"data: 1\r\r\ndata: 2\n\n");
    assert_eq!(frames[0].raw, "data: 1\r\r");
    assert_eq!(frames[1].raw, "\ndata: 2\n\n");
}

#[test]
fn sse_reads_the_fields_as_the_standard_says() {
    check_sse("data:no space\n\n", &[("", "no space")]);
    check_sse("data:  two spaces\n\n", &[("", " two spaces")]);
    check_sse("data: YHOO\ndata: +2\ndata: 10\n\n", &[("", "YHOO\n+2\n10")]);
    check_sse("data\n\ndata\ndata\n\ndata:\n\n", &[("", ""), ("", "\n"), ("", "")]);
    check_sse("data: a\nid: 7\nretry: 5\nnonsense\ndatabase: x\nevents: y\n\n", &[("", "a")]);
    check_sse("event: a\nevent: b\ndata: 1\n\n", &[("b", "1")]);
    check_sse("event: a\nevent\ndata: 1\n\n", &[("", "1")]);
    check_sse("data: gr\u{fc}n \u{1f33f}: ok\n\n", &[("", "gr\u{fc}n \u{1f33f}: ok")]);
    check_sse("", &[]);
}

#[test]
fn sse_gives_no_event_without_data() {
    check_sse("event: a\n\ndata: 1\n\n", &[("", ""), ("", "1")]);
}

#[test]
fn sse_skips_one_byte_order_mark_at_the_start_only() {
    check_sse("\u{feff}data: 1\n\n\u{feff}data: 2\n\ndata: 3\n\n", &[("", "1"), ("", ""), ("", "3")]);
    check_sse("\u{feff}\n\u{feff}\ndata: 1\n\n", &[("", ""), ("", "1")]);
}

#[test]
fn sse_passes_comments_on_as_frames_of_their_own_or_with_the_event_behind_them() {
    let (frames, end) = decode(Framing::Sse, b": ping\n\n: with\ndata: 1\n\n\n:last\n");
    assert_eq!(end, Ok(()));
    let raw: Vec<&[u8]> = frames.iter().map(|frame| &frame.raw[..]).collect();
    assert_eq!(raw, [&b": ping\n\n"[..], b": with\ndata: 1\n\n", b"\n", b":last\n"]);
    assert_eq!(frames.iter().map(Frame::is_comment).collect::<Vec<_>>(), [true, false, true, true]);
}

#[test]
fn sse_does_not_dispatch_an_event_that_the_end_cuts_off() {
    for body in ["data: 1\n\ndata: 2\n", "data: 1\n\ndata: 2", "data: 1\n\n: ping\nda", "data: 1\n\nevent: x\r\n"] {
        let (frames, end) = decode(Framing::Sse, body.as_bytes());
        assert_eq!(end, Err(FramingError::Truncated), "{body:?}");
        assert_eq!(names_and_data(&frames), [("", "1")]);
    }
    check_sse("data: 1\r\n\r", &[("", "1")]);
}

#[test]
fn sse_refuses_what_is_not_utf8_but_only_where_it_matters() {
    let (frames, end) = decode(Framing::Sse, b"data: 1\n\ndata: \xff\n\ndata: 3\n\n");
    assert_eq!(end, Err(FramingError::NotUtf8));
    assert_eq!(names_and_data(&frames), [("", "1")]);
    check(Framing::Sse, b": \xff\nid: \xff\ndata: 1\n\n", &[("", "1")]);
}

/// The standard's algorithm, line by line over the whole body, to compare with.
fn sse_by_the_book(body: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(body).unwrap();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), String::new());
    let Some((complete, _unfinished)) = text.rsplit_once('\n') else { return events };
    for line in complete.split('\n') {
        if line.is_empty() {
            if let Some(data) = data.strip_suffix('\n') {
                events.push((name.clone(), data.to_owned()));
            }
            name.clear();
            data.clear();
        } else if !line.starts_with(':') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = value.to_owned(),
                "data" => data = data + value + "\n",
                _ => {}
            }
        }
    }
    events
}

#[test]
fn sse_agrees_with_the_standard_on_random_bodies() {
    let pieces = ["data", "event", ":", " ", "\n", "\r", "\r\n", "\n\n", "x", "\u{fc}", "\u{feff}", "id", "data: 1\n"];
    let mut random = fastrand::Rng::with_seed(42);
    for _ in 0..3_000 {
        let body: String = (0..random.usize(0..24)).map(|_| pieces[random.usize(0..pieces.len())]).collect();
        let (frames, _) = decode(Framing::Sse, body.as_bytes());
        let mut expected = sse_by_the_book(body.as_bytes());
        // An event without name and data says nothing; as a frame it cannot be told from a comment.
        expected.retain(|(name, data)| !name.is_empty() || !data.is_empty());
        let events: Vec<_> = frames.into_iter().filter(|frame| !frame.is_comment()).map(|f| (f.name, f.data)).collect();
        assert_eq!(events, expected, "{body:?}");
    }
}

#[test]
fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
    let body = b"data: 1\n\ndata: 12345\n\n";
    let (frames, end) = decode_within(Framing::Sse, 13, body);
    assert_eq!((frames.len(), end), (2, Ok(())));
    let (frames, end) = decode_within(Framing::Sse, 12, body);
    assert_eq!((frames.len(), end), (1, Err(FramingError::TooLarge { limit: 12 })));

    let (frames, end) = decode_within(Framing::NdJson, 4, b"123\n1234\n");
    assert_eq!((frames.len(), end), (1, Err(FramingError::TooLarge { limit: 4 })));

    let message = aws_message(&[(":event-type", "x")], b"{}");
    let (frames, end) = decode_within(Framing::AwsEventStream, message.len(), &message);
    assert_eq!((frames.len(), end), (1, Ok(())));
    let (frames, end) = decode_within(Framing::AwsEventStream, message.len() - 1, &message);
    assert_eq!((frames.len(), end), (0, Err(FramingError::TooLarge { limit: message.len() - 1 })));
}

#[test]
fn an_unfinished_frame_is_refused_at_the_limit_without_waiting_for_its_end() {
    let mut decoder = Decoder::new(Framing::Sse, 1024);
    let mut frames = Vec::new();
    let pushed = (0..).map_while(|_| decoder.push(Bytes::from_static(b"data: endless "), &mut frames).ok()).count();
    assert_eq!(pushed, 1024 / 14);
    assert_eq!(decoder.held.capacity(), 0);
}

#[test]
fn an_error_stays() {
    let mut decoder = Decoder::new(Framing::Sse, LIMIT);
    let mut frames = Vec::new();
    assert_eq!(decoder.push(Bytes::from_static(b"data: \xff\n\n"), &mut frames), Err(FramingError::NotUtf8));
    assert_eq!(decoder.push(Bytes::from_static(b"data: 1\n\n"), &mut frames), Err(FramingError::NotUtf8));
    assert_eq!(decoder.finish(&mut frames), Err(FramingError::NotUtf8));
    assert!(frames.is_empty());
}

#[test]
fn whole_frames_are_slices_of_the_read() {
    let read = Bytes::from(b"data: 1\n\ndata: 2\n\ndata: ".to_vec());
    let mut frames = Vec::new();
    Decoder::new(Framing::Sse, LIMIT).push(read.clone(), &mut frames).unwrap();
    assert_eq!(frames.iter().map(|frame| frame.raw.as_ptr()).collect::<Vec<_>>(), [&read[0], &read[9]].map(|b| b as _));
}

/// 4 MB byte by byte takes well under a second where each byte is looked at once, and hours where it is not.
#[test]
fn a_long_event_in_single_bytes_is_scanned_once() {
    let payload = "x".repeat(4 << 20);
    let mut sse = BytesMut::new();
    write_sse("long", &payload, &mut sse);
    let aws = aws_message(&[(":event-type", "long")], payload.as_bytes());
    let ndjson = format!("{payload}\n");
    let bodies: [(Framing, &[u8]); 3] =
        [(Framing::Sse, &sse), (Framing::NdJson, ndjson.as_bytes()), (Framing::AwsEventStream, &aws)];
    for (framing, body) in bodies {
        let (frames, end) = decode_reads(framing, 8 << 20, body.chunks(1));
        assert_eq!((frames.len(), end), (1, Ok(())));
        assert_eq!(frames[0].data, payload);
    }
}

#[test]
fn ndjson_makes_a_frame_of_every_line() {
    check(Framing::NdJson, "{\"a\":1}\n{\"b\":2}\r\n", &[("", "{\"a\":1}"), ("", "{\"b\":2}")]);
    check(Framing::NdJson, "1\n2", &[("", "1"), ("", "2")]);
    check(Framing::NdJson, "1\n\n \r\n2\n", &[("", "1"), ("", ""), ("", ""), ("", "2")]);
    assert_eq!(decode(Framing::NdJson, b"\xff\n").1, Err(FramingError::NotUtf8));
}

fn aws_header(name: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut header = vec![name.len() as u8];
    header.extend_from_slice(name.as_bytes());
    header.push(kind);
    if kind == 6 || kind == 7 {
        header.extend_from_slice(&(value.len() as u16).to_be_bytes());
    }
    header.extend_from_slice(value);
    header
}

fn aws_message_with(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = 12 + headers.len() + payload.len() + 4;
    let mut message = (total as u32).to_be_bytes().to_vec();
    message.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(headers);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}

fn aws_message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let headers: Vec<u8> = headers.iter().flat_map(|(name, value)| aws_header(name, 7, value.as_bytes())).collect();
    aws_message_with(&headers, payload)
}

fn check_aws(body: &[u8], expected: &[(&str, &str)]) {
    check(Framing::AwsEventStream, body, expected);
}

fn check_aws_fails(body: &[u8], expected: FramingError) {
    assert_eq!(decode(Framing::AwsEventStream, body), (vec![], Err(expected)));
}

#[test]
fn aws_messages_are_named_by_their_event_or_exception_type() {
    let event =
        [(":event-type", "contentBlockDelta"), (":content-type", "application/json"), (":message-type", "event")];
    let exception = [(":exception-type", "throttlingException"), (":message-type", "exception")];
    let error = [(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "sorry")];
    let body = [
        aws_message(&event, b"{\"delta\":{\"text\":\"gr\xc3\xbcn\"}}"),
        aws_message(&exception, b"{\"message\":\"slow down\"}"),
        aws_message(&error, b""),
    ];
    let expected = [
        ("contentBlockDelta", "{\"delta\":{\"text\":\"gr\u{fc}n\"}}"),
        ("throttlingException", "{\"message\":\"slow down\"}"),
        ("InternalFailure", "sorry"),
    ];
    check_aws(&body.concat(), &expected);
}

#[test]
fn aws_headers_of_other_types_are_skipped() {
    let lengths = [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 5), (8, 8), (9, 16)];
    let mut headers: Vec<u8> =
        lengths.iter().flat_map(|&(kind, length)| aws_header(":event-type", kind, &vec![b'?'; length])).collect();
    headers.extend_from_slice(&aws_header(":event-type", 7, b"messageStop"));
    check_aws(&aws_message_with(&headers, b"{}"), &[("messageStop", "{}")]);
    check_aws(&aws_message_with(b"", b""), &[("", "")]);
}

/// The first test vector of Amazon's own implementations.
#[test]
fn aws_reads_a_known_message() {
    let message = b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfd\x52\x8c\x5a{'foo':'bar'}\xc3\x65\x39\x36";
    check_aws(message, &[("", "{'foo':'bar'}")]);
}

#[test]
fn aws_refuses_every_flipped_bit() {
    let good = aws_message(&[(":event-type", "x")], b"{\"a\":1}");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode_reads(Framing::AwsEventStream, LIMIT, [&bad[..]]), (vec![], Err(FramingError::BadChecksum)));
    }
}

#[test]
fn aws_refuses_what_makes_no_sense_under_a_right_checksum() {
    check_aws_fails(
        &aws_message_with(&aws_header("x", 10, b""), b""),
        FramingError::Malformed("a header has a type that does not exist"),
    );
    check_aws_fails(&aws_message_with(b"\x05x", b""), FramingError::Malformed("a header is cut short"));
    check_aws_fails(&aws_message_with(b"\x01x\x07\x00\x09abc", b""), FramingError::Malformed("a header is cut short"));
    for (total, headers) in [(0_u32, 0_u32), (15, 0), (20, 5), (16, u32::MAX)] {
        let mut message = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
        check_aws_fails(&message, FramingError::Malformed("its lengths contradict each other"));
    }
    check_aws_fails(&aws_message(&[(":event-type", "x")], b"\xff"), FramingError::NotUtf8);
    check_aws_fails(&aws_message(&[(":event-type", "x")], b"{}")[..20], FramingError::Truncated);
}

#[test]
fn random_bytes_never_panic() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..300 {
        let body: Vec<u8> = (0..random.usize(0..64)).map(|_| random.u8(..)).collect();
        for framing in [Framing::Sse, Framing::NdJson, Framing::AwsEventStream] {
            let _ = decode(framing, &body);
        }
    }
}

#[test]
fn written_events_read_back_as_they_were() {
    for (name, data) in [("", "{}"), ("a", "1"), ("", ""), ("a", "one\ntwo\n"), ("", "\n"), ("", " indented")] {
        let mut out = BytesMut::new();
        write_sse(name, data, &mut out);
        check(Framing::Sse, &out, &[(name, data)]);
    }
    let mut out = BytesMut::new();
    write_sse("message_stop", "{}", &mut out);
    write_sse("", "[DONE]", &mut out);
    assert_eq!(out, "event: message_stop\ndata: {}\n\ndata: [DONE]\n\n");
}

#[test]
fn written_events_hold_what_they_are_given_in_their_own_fields() {
    let mut out = BytesMut::new();
    write_sse("a\ndata: smuggled", "1\r\n\r\nevent: smuggled\r2", &mut out);
    assert_eq!(out, "event: a\ndata: 1\ndata: \ndata: event: smuggled\ndata: 2\n\n");
}
