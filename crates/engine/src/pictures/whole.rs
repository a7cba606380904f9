//! Whether bytes are a picture from its beginning to its end. What it shows is not looked at, only how it is put together.

/// The media type of a whole picture.
pub(super) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if let Some(chunks) = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        return is_whole_png(chunks).then_some("image/png");
    }
    let segments = bytes.strip_prefix(b"\xff\xd8")?;
    is_whole_jpeg(segments).then_some("image/jpeg")
}

/// PNG 3rd edition §5: `IHDR` with a size first, something of the picture, and `IEND`; each with its length before and four
/// bytes behind it.
fn is_whole_png(mut rest: &[u8]) -> bool {
    let (mut is_first, mut has_data) = (true, false);
    loop {
        let Some((&length, after)) = rest.split_first_chunk::<4>() else { return false };
        let Some((kind, after)) = after.split_first_chunk::<4>() else { return false };
        let Ok(length) = usize::try_from(u32::from_be_bytes(length)) else { return false };
        let Some((content, after)) = after.split_at_checked(length) else { return false };
        let Some((_, after)) = after.split_first_chunk::<4>() else { return false };
        let is_header = kind == b"IHDR";
        if is_header != is_first || (is_header && !has_size(content)) {
            return false;
        }
        has_data |= kind == b"IDAT" && length > 0;
        if kind == b"IEND" {
            return has_data;
        }
        (is_first, rest) = (false, after);
    }
}

/// Thirteen bytes, of which the first eight are width and height, neither of them nothing.
fn has_size(header: &[u8]) -> bool {
    let nothing = [0; 4];
    header.len() == 13 && !header.starts_with(&nothing) && header.get(4..8) != Some(&nothing)
}

/// ITU T.81 annex B: segments with their lengths up to a scan, a frame among them, and after the scan the end of the image.
fn is_whole_jpeg(mut rest: &[u8]) -> bool {
    let mut has_frame = false;
    loop {
        let Some((&[0xff, marker], after)) = rest.split_first_chunk::<2>() else { return false };
        // Any number of them may fill the space before a marker.
        if marker == 0xff {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let Some((&length, _)) = after.split_first_chunk::<2>() else { return false };
        let length = usize::from(u16::from_be_bytes(length));
        let Some((_, behind)) = after.split_at_checked(length).filter(|_| length >= 2) else { return false };
        // The frames; of this range three are tables.
        has_frame |= matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if marker == 0xda {
            return has_frame && behind.windows(2).any(|two| two == [0xff, 0xd9]);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One grey pixel.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
        \0\0\0\x0aIDATx\x9cc\xa8\x07\0\0\x81\0\x80\x1d\x5e\xa5\x60\0\0\0\0IEND\xae\x42\x60\x82";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x04JF\xff\xff\xc0\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0\
        \xff\xda\0\x08\x01\x01\0\0\x3f\0\x37\xff\xd9";

    #[test]
    fn a_picture_is_taken_whole_and_never_in_part() {
        for (whole, kind) in [(PNG, "image/png"), (JPEG, "image/jpeg")] {
            assert_eq!(media_type(whole), Some(kind));
            for end in 0..whole.len() {
                assert_eq!(media_type(&whole[..end]), None, "{kind} cut at {end}");
            }
        }
        for other in [
            &b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..],
            b"GIF89a..........",
            // No pixels, no size, and a length beyond the end.
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0....\0\0\0\0IEND....",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\x01\x08\0\0\0\0....\0\0\0\x01IDATx....\0\0\0\0IEND....",
            b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR\0\0",
            b"\xff\xd8\xff\xd9",
            b"\xff\xd8\xff\xe0\0\0",
        ] {
            assert_eq!(media_type(other), None);
        }
    }
}
