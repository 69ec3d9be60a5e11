//! Lines out of bytes that are cut anywhere.

use crate::ai::failure::Failure;

/// The longest line, in bytes.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// The begin of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Calls `each` with every line that is complete now, without its end, until `each` says that no more are
    /// wanted.
    ///
    /// # Errors
    /// What `each` says, a line that is no UTF-8, or one that is too long.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&str) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            let more = match self.pending.is_empty() {
                true => each(text(line)?)?,
                false => {
                    self.keep(line)?;
                    let whole = std::mem::take(&mut self.pending);
                    each(text(&whole)?)?
                }
            };
            if !more {
                return Ok(());
            }
        }
        self.keep(rest)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.pending.len() + bytes.len() > MAX_LINE {
            return Err(Failure::too_large());
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// What came after the last line's end; it may be cut within a character.
    pub(super) fn rest(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

fn text(line: &[u8]) -> Result<&str, Failure> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    std::str::from_utf8(line).map_err(|_| Failure::invalid_answer())
}
