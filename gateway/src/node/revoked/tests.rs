use super::*;

const NOW: i64 = 1_000;

fn token(id: &str, expire_at: i64) -> Revocation {
    Revocation { what: Some(What::Token(id.into())), expire_at }
}

fn before(user: &str, time: i64, expire_at: i64) -> Revocation {
    Revocation { what: Some(What::IssuedBefore(IssuedBefore { user: user.into(), time })), expire_at }
}

fn block(user: &str, expire_at: i64) -> Revocation {
    Revocation { what: Some(What::Block(user.into())), expire_at }
}

fn unblock(user: &str) -> Revocation {
    Revocation { what: Some(What::Unblock(user.into())), expire_at: 0 }
}

/// Knows these already.
fn revoked(all: &[Revocation]) -> Revoked {
    let revoked = Revoked::default();
    revoked.begin_reading();
    revoked.end_reading(all, NOW);
    revoked
}

fn ask(revoked: &Revoked, user: &str, id: &str, issued_at: Option<i64>, now: i64) -> Verdict {
    let issued_at = issued_at.unwrap_or(Fingerprint::UNKNOWN.issued_at);
    revoked.verdict(&UserId::new(user), Fingerprint { id: revoked.hash(id), issued_at }, now)
}

#[test]
fn each_kind_is_about_what_it_names_until_its_end() {
    use Verdict::{Blocked, Good, Revoked};
    let known = revoked(&[token("t1", 2_000), before("42", 900, 2_000), block("7", 2_000), block("8", 0)]);
    // User, id, made when, asked when -> verdict.
    let table = [
        ("42", "t1", Some(950), NOW, Revoked),
        ("", "t1", Some(950), NOW, Revoked),
        ("42", "t1", Some(950), 1_999, Revoked),
        ("42", "t1", Some(950), 2_000, Good),
        ("42", "t2", Some(900), NOW, Good),
        ("42", "t2", Some(899), NOW, Revoked),
        ("42", "", None, NOW, Revoked),
        ("42", "", None, 2_000, Good),
        ("43", "", None, NOW, Good),
        ("", "", None, NOW, Good),
        ("7", "", Some(999), NOW, Blocked),
        ("7", "t1", Some(999), NOW, Blocked),
        ("7", "t1", Some(999), 2_000, Good),
        ("8", "", Some(i64::MAX), i64::MAX - 1, Blocked),
    ];
    for (user, id, issued_at, now, verdict) in table {
        assert_eq!(ask(&known, user, id, issued_at, now), verdict, "{user:?} {id:?} {issued_at:?} at {now}");
    }
}

#[test]
fn who_has_not_read_the_ledger_lets_nobody_in_who_could_be_in_it() {
    let known = Revoked::default();
    known.heard(&unblock("42"), NOW);
    assert_eq!(ask(&known, "42", "", Some(NOW), NOW), Verdict::Unknown);
    assert_eq!(ask(&known, "", "t1", Some(NOW), NOW), Verdict::Unknown);
    assert_eq!(ask(&known, "", "", None, NOW), Verdict::Good);
    assert!(!known.has_read());
}

#[test]
fn orders_are_known_at_once_and_say_whom_they_are_about() {
    let known = revoked(&[]);
    assert_eq!(known.heard(&token("t1", 0), NOW), Some(None));
    assert_eq!(known.heard(&before("42", 900, 0), NOW), Some(Some(UserId::new("42"))));
    assert_eq!(known.heard(&block("7", 0), NOW), Some(Some(UserId::new("7"))));
    assert_eq!(known.count(), 3);
    assert_eq!(ask(&known, "7", "", Some(NOW), NOW), Verdict::Blocked);
    assert_eq!(known.heard(&unblock("7"), NOW), None);
    assert_eq!(ask(&known, "7", "", Some(NOW), NOW), Verdict::Good);
    assert_eq!(known.heard(&Revocation::default(), NOW), None);
}

#[test]
fn of_older_tokens_the_later_moment_and_the_longer_time_count() {
    let known = revoked(&[before("42", 900, 3_000)]);
    known.heard(&before("42", 800, 4_000), NOW);
    assert_eq!(ask(&known, "42", "", Some(899), 3_999), Verdict::Revoked);
    // Of a block, the last word.
    known.heard(&block("7", 0), NOW);
    known.heard(&block("7", 2_000), NOW);
    assert_eq!(ask(&known, "7", "", None, 2_000), Verdict::Good);
}

#[test]
fn what_is_heard_while_the_ledger_is_read_is_not_lost_and_not_undone() {
    let known = revoked(&[block("old", 0)]);
    known.begin_reading();
    known.heard(&block("new", 0), NOW);
    known.heard(&unblock("old"), NOW);
    // The ledger was read before both.
    assert!(known.end_reading(&[block("old", 0), token("t1", 0)], NOW));
    assert_eq!(ask(&known, "new", "", None, NOW), Verdict::Blocked);
    assert_eq!(ask(&known, "old", "", None, NOW), Verdict::Good);
    assert_eq!(ask(&known, "", "t1", None, NOW), Verdict::Revoked);
    // And once more, when nothing has changed; what has ended is forgotten.
    known.begin_reading();
    assert!(!known.end_reading(&[block("new", 0), token("t1", 0)], NOW));
    known.begin_reading();
    assert!(known.end_reading(&[block("gone", NOW)], NOW));
    assert_eq!(known.count(), 0);
}

#[test]
fn what_is_over_makes_room_and_what_is_known_needs_none() {
    let all: Vec<_> = (0..REVOCATIONS_MAX).map(|number| token(&format!("t{number}"), NOW + 1)).collect();
    let known = revoked(&all);
    known.heard(&token("new", 2_000), NOW);
    assert_eq!(ask(&known, "42", "new", None, NOW), Verdict::Good, "there is no room");
    known.heard(&token("t0", 2_000), NOW);
    assert_eq!(ask(&known, "42", "t0", None, NOW + 1), Verdict::Revoked, "it is prolonged");
    known.heard(&token("new", 2_000), NOW + 1);
    assert_eq!(ask(&known, "42", "new", None, NOW + 1), Verdict::Revoked, "the others are over");
}
