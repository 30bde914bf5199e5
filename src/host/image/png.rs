//! PNG: the size is read here, before memory is taken; the `png` crate decodes.

use std::io::{Cursor, ErrorKind};

use png::{BitDepth, ColorType, Decoder, DecodingError, Transformations};

use super::{
    exif,
    fault::{Format, ImageFault},
    frame::{Frame, Limits},
};

/// Memory for chunks that are no pixels (Exif, palette), in bytes. Texts and colour profiles, which
/// may be compressed a thousandfold, are skipped.
const CHUNK_BYTES: usize = 1 << 20;

/// Decodes into `frame`: one to four channels.
pub(super) fn decode(bytes: &[u8], limits: Limits, frame: &mut Frame) -> Result<(), ImageFault> {
    let (width, height) = size(bytes)?;
    limits.check(Format::Png, width, height)?;
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: CHUNK_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(fault)?;
    let info = reader.info();
    if (info.color_type, info.bit_depth) == (ColorType::Grayscale, BitDepth::Sixteen) {
        return Err(ImageFault::Unsupported {
            format: Format::Png,
            what: "gray with 16 bits a pixel; what that is in 8 bits is not agreed on (Pillow cuts \
                   at 255, others divide by 256), so save it with 8 bits as the training data were",
        });
    }
    let orientation = info.exif_metadata.as_deref().map_or(1, exif::orientation);
    let (color, _) = reader.output_color_type();
    let pixels = frame.take(width as usize, height as usize, color.samples());
    if reader.output_buffer_size() != Some(pixels.len()) {
        return Err(contradiction());
    }
    let frame_info = reader.next_frame(pixels).map_err(fault)?;
    if (frame_info.width, frame_info.height) != (width, height) {
        return Err(contradiction());
    }
    frame.orientation = orientation;
    Ok(())
}

/// Width and height of the header chunk, which is always the first.
fn size(bytes: &[u8]) -> Result<(u32, u32), ImageFault> {
    match bytes.get(12..16) {
        Some(b"IHDR") => {}
        Some(_) => {
            return Err(ImageFault::Corrupt {
                format: Format::Png,
                why: "the first chunk is no header".to_owned(),
            });
        }
        None => return Err(truncated()),
    }
    let number =
        |at: usize| -> Option<u32> { Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?)) };
    number(16).zip(number(20)).ok_or_else(truncated)
}

fn truncated() -> ImageFault {
    ImageFault::Truncated {
        format: Format::Png,
    }
}

fn contradiction() -> ImageFault {
    ImageFault::Corrupt {
        format: Format::Png,
        why: "its chunks contradict each other".to_owned(),
    }
}

fn fault(error: DecodingError) -> ImageFault {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => truncated(),
        DecodingError::LimitsExceeded => ImageFault::Corrupt {
            format: Format::Png,
            why: format!("a chunk that is no pixels has more than {CHUNK_BYTES} bytes"),
        },
        error => {
            let why = error.to_string();
            let why = if why.starts_with("CRC error") {
                "the checksum of a chunk is wrong"
            } else {
                why.trim_end_matches('.')
            };
            ImageFault::Corrupt {
                format: Format::Png,
                why: why.to_owned(),
            }
        }
    }
}
