//! Pictures of staff: read from data URLs, believed only after a look at their first bytes.

use std::fmt::{self, Write};

use aggregates::ids::UserId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The most bytes of a picture.
pub(super) const LARGEST: usize = 1024 * 1024;

/// How many bytes of a picture's digest name it.
const TAG_BYTES: usize = 16;

/// What the first bytes of each kind of picture are.
const KINDS: [(&str, &[u8]); 4] = [
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/gif", b"GIF87a"),
    ("image/gif", b"GIF89a"),
];

/// A JPEG, PNG or GIF of at most [`LARGEST`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// What its bytes say it is, whatever its sender said.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// The beginning of its digest in hexadecimal digits: another picture has another one.
    pub tag: String,
}

/// Why a picture is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Neither `data:image/jpeg;base64,` nor its like for PNG and GIF.
    #[error("avatar must be a data URL of a JPEG, PNG or GIF image")]
    NotADataUrl,
    /// What follows is not base64.
    #[error("avatar is not valid base64")]
    NotBase64,
    /// More than [`LARGEST`] bytes.
    #[error("avatar must not be larger than 1 MB")]
    TooLarge,
    /// Its bytes are not those of such an image.
    #[error("avatar is not a JPEG, PNG or GIF image")]
    NotAPicture,
}

impl Picture {
    /// Reads a data URL.
    pub fn from_data_url(url: &str) -> Result<Self, PictureError> {
        let (kind, encoded) = url
            .strip_prefix("data:image/")
            .and_then(|rest| rest.split_once(";base64,"))
            .ok_or(PictureError::NotADataUrl)?;
        if !["jpeg", "jpg", "png", "gif"].contains(&kind) {
            return Err(PictureError::NotADataUrl);
        }
        // Four characters stand for three bytes; what is much too long is not even decoded.
        if encoded.len() / 4 * 3 > LARGEST + 2 {
            return Err(PictureError::TooLarge);
        }
        Self::from_bytes(STANDARD.decode(encoded).map_err(|_| PictureError::NotBase64)?)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, PictureError> {
        if bytes.len() > LARGEST {
            return Err(PictureError::TooLarge);
        }
        let kind = KINDS.iter().find(|(_, beginning)| bytes.starts_with(beginning));
        let (media_type, _) = kind.ok_or(PictureError::NotAPicture)?;
        let tag = Sha256::digest(&bytes).iter().take(TAG_BYTES).fold(String::new(), |mut tag, byte| {
            write!(tag, "{byte:02x}").expect("writing to a string cannot fail");
            tag
        });
        Ok(Self { media_type, bytes, tag })
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.media_type, self.tag)
    }
}

/// The media type under its own name, if it is one that pictures have.
pub(super) fn known_type(media_type: &str) -> Option<&'static str> {
    KINDS.iter().map(|(known, _)| *known).find(|known| *known == media_type)
}

/// Where a person's picture is served, from the root of this service.
pub(super) fn address(id: UserId, tag: &str) -> String {
    format!("/api/v1/users/{id}/avatar?v={tag}")
}

/// Which picture an address is of; nothing for a data URL.
pub(super) fn tag_in(address: &str) -> Option<&str> {
    address.split_once("/avatar?v=").map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::{LARGEST, Picture, PictureError};

    fn url(kind: &str, bytes: &[u8]) -> String {
        format!("data:image/{kind};base64,{}", STANDARD.encode(bytes))
    }

    #[test]
    fn a_picture_is_what_its_bytes_say() {
        let picture = Picture::from_data_url(&url("jpeg", b"\x89PNG\r\n\x1a\n...")).expect("a picture");
        assert_eq!((picture.media_type, picture.tag.len()), ("image/png", 32));
        assert_eq!(Picture::from_data_url(&url("png", b"<script>")), Err(PictureError::NotAPicture));
        assert_eq!(Picture::from_data_url(&url("gif", b"")), Err(PictureError::NotAPicture));
    }

    #[test]
    fn only_the_data_urls_of_three_kinds_are_read() {
        for odd in ["", "https://example.org/me.png", &url("svg+xml", b"GIF89a"), "data:image/png,GIF89a"] {
            assert_eq!(Picture::from_data_url(odd), Err(PictureError::NotADataUrl), "{odd}");
        }
        assert_eq!(Picture::from_data_url("data:image/png;base64,%%%"), Err(PictureError::NotBase64));
    }

    #[test]
    fn a_picture_has_a_mebibyte_at_most() {
        let mut bytes = b"GIF89a".to_vec();
        bytes.resize(LARGEST, 0);
        assert!(Picture::from_data_url(&url("gif", &bytes)).is_ok());
        for excess in [1, 1_000] {
            bytes.resize(LARGEST + excess, 0);
            assert_eq!(Picture::from_data_url(&url("gif", &bytes)), Err(PictureError::TooLarge));
        }
    }
}
