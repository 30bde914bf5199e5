//! WebP: the chunks are walked here, before memory is taken; image-webp decodes.

use std::io::{Cursor, ErrorKind};

use image_webp::{DecodingError, WebPDecoder};

use super::{
    exif,
    fault::{Format, ImageFault},
    frame::{Frame, Limits},
};

/// Memory for chunks that are no pixels, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Decodes into `frame`: three or four channels.
pub(super) fn decode(bytes: &[u8], limits: Limits, frame: &mut Frame) -> Result<(), ImageFault> {
    let header = Header::read(bytes)?;
    let (width, height) = header.canvas;
    limits.check(Format::Webp, width, height)?;
    // The decoder takes memory for what the picture's own header says before it compares it with
    // the canvas.
    if header.picture != header.place {
        return Err(corrupt("its chunks contradict each other about the size"));
    }
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(fault)?;
    decoder.set_memory_limit(CHUNK_BYTES);
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let pixels = frame.take(width as usize, height as usize, channels);
    if decoder.dimensions() != (width, height) || decoder.output_buffer_size() != Some(pixels.len())
    {
        return Err(corrupt("its chunks contradict each other"));
    }
    decoder.read_image(pixels).map_err(fault)?;
    frame.orientation = header.orientation;
    Ok(())
}

/// What the chunks say about sizes, as width and height.
#[derive(Debug)]
struct Header {
    canvas: (u32, u32),
    /// The part of the canvas that the first picture fills.
    place: (u32, u32),
    /// What the first picture says of itself.
    picture: (u32, u32),
    orientation: u8,
}

impl Header {
    /// Walks over the chunks (RFC 9649, 2.3 to 2.7).
    fn read(bytes: &[u8]) -> Result<Self, ImageFault> {
        let riff = long(bytes, 4).ok_or_else(truncated)?;
        let end = usize::try_from(riff)
            .map_err(|_| truncated())?
            .saturating_add(8);
        if end > bytes.len() {
            return Err(truncated());
        }
        let bytes = bytes.get(..end).unwrap_or_default();
        let (mut canvas, mut place, mut picture) = (None, None, None);
        let mut orientation = 1;
        for (name, body) in chunks(bytes, 12) {
            match &name {
                b"VP8X" => canvas = canvas.or(pair(body, 4)),
                b"ANMF" if place.is_none() => {
                    place = pair(body, 6);
                    picture = picture.or_else(|| {
                        chunks(body, 16).find_map(|(name, body)| picture_size(name, body))
                    });
                }
                b"EXIF" => {
                    let body = body.strip_prefix(b"Exif\0\0").unwrap_or(body);
                    orientation = exif::orientation(body);
                }
                _ => picture = picture.or_else(|| picture_size(name, body)),
            }
        }
        let picture = picture.ok_or_else(|| corrupt("there is no picture in it"))?;
        let canvas = canvas.unwrap_or(picture);
        Ok(Self {
            canvas,
            place: place.unwrap_or(canvas),
            picture,
            orientation,
        })
    }
}

/// The chunks from `at` on, as name and body; the last may be cut short.
fn chunks(bytes: &[u8], mut at: usize) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let name = *bytes.get(at..)?.first_chunk()?;
        let len = usize::try_from(long(bytes, at + 4)?).ok()?;
        let from = at + 8;
        let body = bytes.get(from..)?;
        at = from.saturating_add(len).saturating_add(len % 2);
        Some((name, body.get(..len).unwrap_or(body)))
    })
}

/// Width and height in the header of a VP8 (RFC 6386, 9.1) or VP8L (RFC 9649, 3.4) picture.
fn picture_size(name: [u8; 4], body: &[u8]) -> Option<(u32, u32)> {
    match &name {
        b"VP8 " => {
            let both = long(body, 6)?;
            Some((both & 0x3fff, (both >> 16) & 0x3fff))
        }
        b"VP8L" => {
            let both = long(body, 1)?;
            Some(((both & 0x3fff) + 1, ((both >> 14) & 0x3fff) + 1))
        }
        _ => None,
    }
}

/// Two numbers of 24 bits, each one less than the width or height it stands for.
fn pair(body: &[u8], at: usize) -> Option<(u32, u32)> {
    let bytes: [u8; 6] = *body.get(at..)?.first_chunk()?;
    let [w0, w1, w2, h0, h1, h2] = bytes;
    Some((
        u32::from_le_bytes([w0, w1, w2, 0]) + 1,
        u32::from_le_bytes([h0, h1, h2, 0]) + 1,
    ))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn truncated() -> ImageFault {
    ImageFault::Truncated {
        format: Format::Webp,
    }
}

fn corrupt(why: &str) -> ImageFault {
    ImageFault::Corrupt {
        format: Format::Webp,
        why: why.to_owned(),
    }
}

fn fault(error: DecodingError) -> ImageFault {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => truncated(),
        error => corrupt(&error.to_string()),
    }
}
