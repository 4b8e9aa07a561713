//! What a packed body is unpacked with, piece by piece as it comes.

use crate::error::Failure;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use std::io::{self, Write};

pub enum Unpack {
    Gzip(Box<MultiGzDecoder<Bounded>>),
    Deflate(Inflate),
    /// `deflate` means zlib by the standard and raw deflate with some servers; the first byte tells. So many bytes may come
    /// of one read.
    Unsure(usize),
    /// What nobody asked for. It is said when the body is read, as the status says something even so.
    Unknown(String),
}

impl Unpack {
    /// None where nothing is packed.
    pub fn of(headers: &HeaderMap, limit: usize) -> Option<Self> {
        let encoding = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("unreadable").trim().to_ascii_lowercase();
        match encoding.as_str() {
            "" | "identity" => None,
            "gzip" | "x-gzip" => Some(Unpack::Gzip(Box::new(MultiGzDecoder::new(Bounded::new(limit))))),
            "deflate" => Some(Unpack::Unsure(limit)),
            _ => Some(Unpack::Unknown(encoding)),
        }
    }

    pub fn push(&mut self, data: &[u8]) -> Result<Bytes, Failure> {
        if let (Unpack::Unsure(limit), Some(first)) = (&*self, data.first()) {
            *self = Unpack::Deflate(Inflate::new(first & 0x0F == 8, *limit));
        }
        let unpacked = match self {
            Unpack::Gzip(decoder) => gunzip(decoder, data),
            Unpack::Deflate(inflate) => inflate.push(data),
            Unpack::Unsure(_) => return Ok(Bytes::new()),
            Unpack::Unknown(encoding) => {
                let message = "the provider's answer is packed in a way that it was not asked for";
                return Err(Failure::upstream(message).detail(format!("content-encoding: {encoding}")));
            }
        };
        unpacked.map_err(|error| match error.kind() {
            io::ErrorKind::QuotaExceeded => super::body::too_large(),
            _ => Failure::upstream("the provider's answer cannot be unpacked").detail(error.to_string()),
        })
    }

    /// What was cut within the packing ends as any body does, unless somebody asks.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let whole = match self {
            Unpack::Gzip(decoder) => decoder.try_finish(),
            Unpack::Deflate(inflate) => inflate.finish(),
            Unpack::Unsure(_) | Unpack::Unknown(_) => Ok(()),
        };
        whole.map_err(|error| {
            Failure::upstream("the provider's answer broke off").code("upstream_cut").detail(error.to_string())
        })
    }
}

fn gunzip(decoder: &mut MultiGzDecoder<Bounded>, data: &[u8]) -> io::Result<Bytes> {
    decoder.write_all(data)?;
    decoder.flush()?;
    Ok(std::mem::take(&mut decoder.get_mut().bytes).into())
}

/// Deflate, with or without zlib around it. The library's own writer takes the end of the data for the end of the stream,
/// and a document that was cut for a whole one.
pub struct Inflate {
    state: Decompress,
    limit: usize,
    has_ended: bool,
}

impl Inflate {
    fn new(is_zlib: bool, limit: usize) -> Self {
        Inflate { state: Decompress::new(is_zlib), limit, has_ended: false }
    }

    fn push(&mut self, mut data: &[u8]) -> io::Result<Bytes> {
        let mut out = Vec::with_capacity(data.len().saturating_mul(4).clamp(1_024, 64 * 1_024));
        // What comes behind the end is nobody's.
        while !self.has_ended {
            let before = self.state.total_in();
            let status = self.state.decompress_vec(data, &mut out, FlushDecompress::Sync)?;
            let read = usize::try_from(self.state.total_in() - before).unwrap_or(data.len());
            data = data.get(read..).unwrap_or_default();
            if out.len() > self.limit {
                return Err(too_much());
            }
            self.has_ended = status == Status::StreamEnd;
            if out.len() < out.capacity() {
                // With room left, it has given all that it has.
                break;
            }
            out.reserve(out.len());
        }
        Ok(out.into())
    }

    fn finish(&self) -> io::Result<()> {
        match self.has_ended {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Bytes up to a limit: a few packed kilobytes can be gigabytes.
pub struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Bounded { bytes: Vec::new(), limit }
    }
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.limit {
            return Err(too_much());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_much() -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, "it unpacks to too much")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    fn text() -> Vec<u8> {
        (0..5_000).flat_map(|number| format!("{number} ").into_bytes()).collect()
    }

    fn packings() -> [(&'static str, Vec<u8>); 3] {
        let text = text();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut raw] {
            encoder.write_all(&text).expect("a vector takes everything");
        }
        [
            ("gzip", gzip.finish().expect("packed")),
            ("deflate", zlib.finish().expect("packed")),
            ("deflate", raw.finish().expect("packed")),
        ]
    }

    fn unpacked(encoding: &'static str, packed: &[u8], each: usize, limit: usize) -> Result<Vec<u8>, Failure> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
        let mut unpack = Unpack::of(&headers, limit).expect("packed");
        let mut text = Vec::new();
        for piece in packed.chunks(each) {
            text.extend_from_slice(&unpack.push(piece)?);
        }
        unpack.finish()?;
        Ok(text)
    }

    #[test]
    fn what_was_packed_comes_out_however_it_is_cut_into_reads() {
        for (encoding, packed) in packings() {
            for each in [1, 7, 1_000, packed.len()] {
                assert_eq!(unpacked(encoding, &packed, each, 1 << 20), Ok(text()), "{encoding} by {each}");
            }
        }
    }

    #[test]
    fn what_is_cut_is_never_whole() {
        for (encoding, packed) in packings() {
            for end in [1, 2, packed.len() / 2, packed.len() - 1] {
                let failure = unpacked(encoding, &packed[..end], 1_000, 1 << 20).expect_err("cut");
                assert_eq!(failure.code.as_deref(), Some("upstream_cut"), "{encoding} after {end}: {failure:?}");
            }
        }
    }

    #[test]
    fn what_unpacks_to_more_than_may_be_held_is_refused() {
        for (encoding, packed) in packings() {
            let failure = unpacked(encoding, &packed, packed.len(), 1_000).expect_err("too large");
            assert_eq!(failure.code.as_deref(), Some("upstream_too_large"), "{encoding}: {failure:?}");
        }
    }
}
