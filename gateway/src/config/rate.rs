//! Rates as people write them: `20/s`, `600/m burst 100`, `off`.

use std::time::Duration;

use crate::config::value::{Value, Wrong};
use crate::model::rate::{Per, Rate};

/// Above it a rate limits nothing, and its interval is too short to count by.
const COUNT_MAX: u32 = 1_000_000;

/// A bucket that takes longer to fill would outlive whoever remembers why it is empty.
const REST_MAX: Duration = Duration::from_secs(24 * 3600);

/// No rate is `off`.
impl Value for Option<Rate> {
    const FORM: &'static str = r#"a rate such as "20/s", "600/m burst 100" or "off""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let text = text.trim();
        if text == "off" {
            return Ok(None);
        }
        let (pace, burst) = match text.split_once(" burst ") {
            Some((pace, burst)) => (pace, Some(number(burst).ok_or(Wrong::Form)?)),
            None => (text, None),
        };
        let (count, per) = pace.trim_end().split_once('/').ok_or(Wrong::Form)?;
        let count = number(count).ok_or(Wrong::Form)?;
        let per = match per.trim() {
            "s" => Per::Second,
            "m" => Per::Minute,
            "h" => Per::Hour,
            _ => return Err(Wrong::Form),
        };
        let rate = Rate { count, per, burst: burst.unwrap_or(count) };
        if rate.count == 0 || rate.burst == 0 {
            return Err(Wrong::Because("would let nothing through: write at least 1, or \"off\"".into()));
        }
        if rate.count > COUNT_MAX {
            return Err(Wrong::Because(format!("is more than {COUNT_MAX} and limits nothing: write \"off\"")));
        }
        if rate.rest() > REST_MAX {
            let text = "lets a burst come only once in more than a day: make the burst smaller or the rate higher";
            return Err(Wrong::Because(text.into()));
        }
        Ok(Some(rate))
    }

    fn show(&self) -> String {
        let Some(rate) = self else { return "\"off\"".to_owned() };
        let per = match rate.per {
            Per::Second => 's',
            Per::Minute => 'm',
            Per::Hour => 'h',
        };
        match rate.burst {
            burst if burst == rate.count => format!("\"{}/{per}\"", rate.count),
            burst => format!("\"{}/{per} burst {burst}\"", rate.count),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Rate>, Wrong> {
        Option::<Rate>::from_text(text)
    }

    #[test]
    fn rates() {
        let rate = |count, per, burst| Ok(Some(Rate { count, per, burst }));
        assert_eq!(read("off"), Ok(None));
        assert_eq!(read("20/s"), rate(20, Per::Second, 20));
        assert_eq!(read(" 600 / m burst 100 "), rate(600, Per::Minute, 100));
        assert_eq!(read("1/h burst 1"), rate(1, Per::Hour, 1));
    }

    #[test]
    fn what_is_no_rate_is_refused_with_the_fix() {
        for text in ["", "20", "20/", "/s", "20/d", "-1/s", "1.5/s", "20/s burst", "20/s burst x", "20/s bursts 3"] {
            assert_eq!(read(text), Err(Wrong::Form), "{text:?}");
        }
        for text in ["0/s", "5/s burst 0", "1000001/s", "1/h burst 25"] {
            assert!(matches!(read(text), Err(Wrong::Because(_))), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for text in ["off", "20/s", "600/m burst 100", "1/h burst 24"] {
            assert_eq!(read(text).unwrap().show(), format!("{text:?}"));
        }
    }
}
