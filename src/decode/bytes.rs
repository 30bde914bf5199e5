//! The whole payload is the value of the one field: a file, a text, a piece of sound.

use super::{Decode, Decoded, HostSteps, rules::Rules};
use crate::{
    block::{Layout, Table},
    contract::{Dtype, Field},
    message::{Message, Reject, Stage},
};

/// Takes each payload as one row.
#[derive(Debug)]
pub struct BytesDecoder {
    rules: Rules,
    text: bool,
    hosts: HostSteps,
}

impl BytesDecoder {
    /// A decoder for rows of `field`, which is bytes or text; `hosts` make the fields behind it.
    pub fn new(field: &Field, hosts: HostSteps) -> Self {
        Self {
            rules: Rules::new(field),
            text: field.dtype == Dtype::String,
            hosts,
        }
    }
}

impl Decode for BytesDecoder {
    fn decode(&mut self, message: &Message, table: &mut Table) -> Result<Decoded, Reject> {
        let payload = &message.payload;
        let Some(series) = table.series.first_mut() else {
            unreachable!("a table for the one field: this is a bug");
        };
        if self.text {
            let text = std::str::from_utf8(payload).map_err(|error| {
                let reason = format!(
                    "the message is not text: it is no UTF-8 from byte {} on",
                    error.valid_up_to()
                );
                Reject::new(Stage::Decode, "syntax", reason)
            })?;
            self.rules
                .push_text(&mut series.values, text)
                .map_err(|breach| self.rules.reject(breach, text, None))?;
        } else {
            Rules::push_bytes(&mut series.values, payload)
                .map_err(|breach| self.rules.reject(breach, "", None))?;
        }
        self.hosts.run(table)?;
        table.rows += 1;
        Ok(Decoded {
            rows: 1,
            layout: Layout::One,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::Column, decode::tests::message};

    #[test]
    fn the_payload_is_the_row() {
        let field = Field::new("file", Dtype::Bytes, Vec::new());
        let mut table = Table::for_fields(std::slice::from_ref(&field));
        let mut decoder = BytesDecoder::new(&field, HostSteps::default());
        for payload in [&b"\x00\xff"[..], b""] {
            let decoded = decoder.decode(&message(payload), &mut table).unwrap();
            assert_eq!(decoded.layout, Layout::One);
        }
        let Column::Bytes(values) = &table.series[0].values else {
            panic!("a field of bytes");
        };
        assert_eq!(values.iter().collect::<Vec<_>>(), [&b"\x00\xff"[..], b""]);
        assert_eq!(table.rows, 2);
    }

    #[test]
    fn text_is_utf8_without_nul() {
        let field = Field::new("text", Dtype::String, Vec::new());
        let mut table = Table::for_fields(std::slice::from_ref(&field));
        let mut decoder = BytesDecoder::new(&field, HostSteps::default());
        decoder
            .decode(&message("Größe".as_bytes()), &mut table)
            .unwrap();
        for (payload, reason) in [
            (
                &b"ab\xff"[..],
                "the message is not text: it is no UTF-8 from byte 2 on",
            ),
            (
                b"a\0",
                "field `text`: a  has the character U+0000 in it, which models cannot take",
            ),
        ] {
            let reject = decoder.decode(&message(payload), &mut table).unwrap_err();
            assert_eq!(reject.reason, reason);
        }
        assert_eq!(table.rows, 1);
    }
}
