//! Where the samples of a WAV file are, and of what kind.
//!
//! RIFF by Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0"
//! (1991), with `WAVE_FORMAT_EXTENSIBLE` as Microsoft documents it. Nothing in a header is believed
//! that the bytes do not bear out.

use super::{AudioFault, Encoding, Samples};

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;
/// What follows the two bytes of the format in the identity of an extensible format.
const EXTENSIBLE_END: &[u8] = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71";
/// What writers put for a length that they do not know yet.
const UNKNOWN_LENGTH: u32 = u32::MAX;

/// How the samples are laid out.
struct Layout {
    encoding: Encoding,
    channels: u16,
    rate: u32,
}

/// The samples of a WAV file and its rate.
pub(super) fn read(bytes: &[u8]) -> Result<(Samples<'_>, u32), AudioFault> {
    let mut rest = body(bytes)?;
    let mut layout = None;
    while !rest.is_empty() {
        let Some((header, after)) = rest.split_at_checked(8) else {
            return Err(AudioFault::Truncated {
                what: "a chunk's header".to_owned(),
                wanted: 8,
                found: rest.len() as u64,
            });
        };
        let (id, size) = (header.get(..4).unwrap_or_default(), u32_at(header, 4)?);
        if id == b"data" && size == UNKNOWN_LENGTH {
            return Err(AudioFault::Endless);
        }
        let size = size as usize;
        let content = after.get(..size).ok_or_else(|| AudioFault::Truncated {
            what: format!("its chunk \"{}\"", id.escape_ascii()),
            wanted: size as u64,
            found: after.len() as u64,
        })?;
        match (id, &layout) {
            (b"fmt ", None) => layout = Some(format(content)?),
            (b"fmt ", Some(_)) => return Err(damaged("it has two chunks \"fmt \"")),
            (b"data", None) => {
                return Err(damaged(
                    "there is no chunk \"fmt \" before the chunk \"data\"",
                ));
            }
            (b"data", Some(layout)) => {
                let samples = Samples {
                    bytes: content,
                    encoding: layout.encoding,
                    channels: layout.channels,
                };
                return Ok((samples, layout.rate));
            }
            _ => {}
        }
        // Chunks begin at even places; the last byte is often left out.
        rest = after.get(size + size % 2..).unwrap_or_default();
    }
    Err(damaged(match layout {
        Some(_) => "it has no chunk \"data\"",
        None => "it has no chunk \"fmt \"",
    }))
}

/// The chunks, as far as the file's header says they go.
fn body(bytes: &[u8]) -> Result<&[u8], AudioFault> {
    let (riff, wave) = (bytes.get(..4), bytes.get(8..12));
    if riff != Some(b"RIFF") || wave != Some(b"WAVE") {
        return Err(AudioFault::NotWav(what_else(bytes)));
    }
    let size = u32_at(bytes, 4)?;
    if size == UNKNOWN_LENGTH {
        return Err(AudioFault::Endless);
    }
    let content = bytes.get(8..).unwrap_or_default();
    let size = size as usize;
    // The byte that makes the last chunk even may be counted and left out.
    if size > content.len() + 1 {
        return Err(AudioFault::Truncated {
            what: "the whole".to_owned(),
            wanted: size as u64 + 8,
            found: bytes.len() as u64,
        });
    }
    match content.get(4..size.min(content.len())) {
        Some(chunks) => Ok(chunks),
        None => Err(damaged("its size is less than that of a header")),
    }
}

/// What a value is that is no WAV file.
fn what_else(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => ", it is empty",
        [b'R', b'F', b'6', b'4', ..] => ", it is RF64, for files of more than 4 GiB",
        [b'R', b'I', b'F', b'X', ..] => ", it is RIFX, with the high byte first",
        [b'R', b'I', b'F', b'F', ..] => ", it is another file in RIFF",
        [b'O', b'g', b'g', b'S', ..] => ", it is Ogg",
        [b'f', b'L', b'a', b'C', ..] => ", it is FLAC",
        [b'F', b'O', b'R', b'M', ..] => ", it is AIFF",
        [b'I', b'D', b'3', ..] | [0xff, 0xfa..=0xfb | 0xf2..=0xf3, ..] => ", it is MP3",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => ", it is WebM or Matroska",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => ", it is MP4",
        _ => "",
    }
}

/// Reads the chunk `fmt `.
fn format(chunk: &[u8]) -> Result<Layout, AudioFault> {
    if chunk.len() < 16 {
        let said = format!("its chunk \"fmt \" has {} bytes, it needs 16", chunk.len());
        return Err(damaged(&said));
    }
    let mut tag = u16_at(chunk, 0)?;
    let channels = u16_at(chunk, 2)?;
    let rate = u32_at(chunk, 4)?;
    let (frame, bits) = (u16_at(chunk, 12)?, u16_at(chunk, 14)?);
    if tag == EXTENSIBLE {
        if chunk.len() < 40 {
            let said = format!("its chunk \"fmt \" has {} bytes, it needs 40", chunk.len());
            return Err(damaged(&said));
        }
        if chunk.get(26..40) != Some(EXTENSIBLE_END) {
            return Err(AudioFault::Encoding("unknown".to_owned()));
        }
        tag = u16_at(chunk, 24)?;
    }
    let encoding = match (tag, bits) {
        (PCM, 8) => Encoding::U8,
        (PCM, 16) => Encoding::S16,
        (PCM, 24) => Encoding::S24,
        (PCM, 32) => Encoding::S32,
        (FLOAT, 32) => Encoding::F32,
        _ => return Err(AudioFault::Encoding(named(tag, bits))),
    };
    if channels == 0 {
        return Err(damaged("it has 0 channels"));
    }
    if rate == 0 {
        return Err(damaged("it has 0 samples for each second"));
    }
    let expected = usize::from(channels) * encoding.bytes();
    if usize::from(frame) != expected {
        return Err(damaged(&format!(
            "{channels} channels of {bits} bits are {expected} bytes, but it says {frame}"
        )));
    }
    Ok(Layout {
        encoding,
        channels,
        rate,
    })
}

fn named(tag: u16, bits: u16) -> String {
    match tag {
        PCM => format!("{bits}-bit integer"),
        FLOAT => format!("{bits}-bit float"),
        2 | 0x11 => "ADPCM".to_owned(),
        6 => "A-law".to_owned(),
        7 => "µ-law".to_owned(),
        0x31 => "GSM".to_owned(),
        0x55 => "MP3".to_owned(),
        _ => format!("unknown (format {tag})"),
    }
}

fn damaged(said: &str) -> AudioFault {
    AudioFault::Header(said.to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, AudioFault> {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    found
        .map(|two| u16::from_le_bytes(*two))
        .ok_or_else(|| damaged("it ends within a number"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, AudioFault> {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    found
        .map(|four| u32::from_le_bytes(*four))
        .ok_or_else(|| damaged("it ends within a number"))
}
