//! Pages. A token names the last item handed out, not an offset: with offsets, a job created between two pages would make
//! a newest-first listing repeat one item, and a simulator that does that teaches its clients to expect it.

use crate::error::ApiError;

/// What a caller asked for, and the server's own limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct PageRequest {
    pub(crate) max_results: Option<usize>,
    pub(crate) next_token: Option<String>,
}

/// The direction in which a listing's keys run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// One page of `items`, which must be sorted by `key` in `direction`. `listing` keeps a token of one operation from being
/// used with another.
pub(crate) fn page<T>(
    listing: &str,
    items: Vec<T>,
    direction: Direction,
    key: impl Fn(&T) -> String,
    request: &PageRequest,
    page_size: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let after = request.next_token.as_deref().map(|token| read_token(listing, token)).transpose()?;
    let size = request.max_results.unwrap_or(page_size).min(page_size).max(1);
    let mut rest = items.into_iter().skip_while(|item| match &after {
        None => false,
        Some(last) if direction == Direction::Ascending => key(item) <= *last,
        Some(last) => key(item) >= *last,
    });
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let token = match (rest.next(), page.last()) {
        (Some(_), Some(last)) => Some(write_token(listing, &key(last))),
        _ => None,
    };
    Ok((page, token))
}

/// Opaque to clients: hexadecimal, so that nobody is tempted to take it apart.
fn write_token(listing: &str, key: &str) -> String {
    format!("{listing}\n{key}").bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_token(listing: &str, token: &str) -> Result<String, ApiError> {
    let refused = || ApiError::invalid("nextToken", "is not a token of this operation");
    if !token.is_ascii() || !token.len().is_multiple_of(2) {
        return Err(refused());
    }
    let bytes: Option<Vec<u8>> =
        (0..token.len()).step_by(2).map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok()).collect();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(refused)?;
    match text.split_once('\n') {
        Some((of, key)) if of == listing => Ok(key.to_owned()),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn walk(items: &[u32], size: usize) -> Vec<Vec<u32>> {
        let mut pages = Vec::new();
        let mut request = PageRequest { max_results: Some(size), next_token: None };
        loop {
            let key = |n: &u32| format!("{n:05}");
            let (page, token) = page("Numbers", items.to_vec(), Direction::Ascending, key, &request, 3).unwrap();
            pages.push(page);
            match token {
                Some(token) => request.next_token = Some(token),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_cover_everything_once_and_the_last_has_no_token() {
        assert_eq!(walk(&[1, 2, 3, 4, 5], 2), [vec![1, 2], vec![3, 4], vec![5]]);
        assert_eq!(walk(&[1, 2, 3, 4], 2), [vec![1, 2], vec![3, 4]]);
        assert_eq!(walk(&[], 2), [Vec::<u32>::new()]);
    }

    #[test]
    fn the_server_caps_the_page_size() {
        assert_eq!(walk(&[1, 2, 3, 4], 1000), [vec![1, 2, 3], vec![4]]);
    }

    #[test]
    fn a_newest_first_listing_does_not_repeat_items_when_one_is_added_between_pages() {
        let key = |n: &u32| format!("{n:05}");
        let first = PageRequest::default();
        let (one, token) = page("Jobs", vec![3, 2, 1], Direction::Descending, key, &first, 2).unwrap();
        let second = PageRequest { max_results: None, next_token: token };
        let (two, end) = page("Jobs", vec![4, 3, 2, 1], Direction::Descending, key, &second, 2).unwrap();
        assert_eq!((one, two, end), (vec![3, 2], vec![1], None));
    }

    #[test]
    fn foreign_and_broken_tokens_are_refused() {
        for token in ["zz", "abc", "é", "", &write_token("Servers", "7")] {
            let request = PageRequest { max_results: None, next_token: Some(token.to_owned()) };
            let error = page("Jobs", vec![1], Direction::Ascending, |n: &u32| n.to_string(), &request, 9).unwrap_err();
            assert_eq!(error.name, "ValidationException");
        }
    }
}
