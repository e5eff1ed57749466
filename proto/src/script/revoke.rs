//! The keys and arguments of [`super::REVOKE`].

use super::{CONTROL_LOG_AGE_MS, CONTROL_LOG_MAX};
use crate::envelope::{Control, Envelope, IssuedBefore, Order, Revocation, What};
use crate::keys::Keys;
use crate::limits::REVOCATIONS_MAX;

/// One run of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// In the script's order.
    pub keys: Vec<String>,
    /// In the script's order.
    pub arguments: Vec<Vec<u8>>,
}

impl Call {
    /// What `control` orders, now (in seconds since 1970); none if it is no revocation that this version
    /// knows.
    #[must_use]
    pub fn new(keys: &Keys, control: Control, now_unix_s: i64) -> Option<Self> {
        let Some(Order::Revocation(Revocation { what: Some(what), expire_at })) = &control.order else { return None };
        let end = if *expire_at == 0 { "+inf".to_owned() } else { expire_at.to_string() };
        let (names, numbers, name, end, number) = match what {
            What::Token(id) => (keys.revoked_tokens(), None, id, end, None),
            What::IssuedBefore(IssuedBefore { user, time }) => {
                (keys.revoked_users(), Some(keys.revoked_before()), user, end, Some(*time))
            }
            What::Block(user) => (keys.blocked_users(), None, user, end, None),
            What::Unblock(user) => (keys.blocked_users(), None, user, String::new(), None),
        };
        let name = name.as_bytes().to_vec();
        let mut arguments = vec![keys.control().into_bytes()];
        let numbered = [CONTROL_LOG_MAX, CONTROL_LOG_AGE_MS].map(|number| number.to_string().into_bytes());
        let rest = [end.into_bytes(), now_unix_s.to_string().into_bytes(), REVOCATIONS_MAX.to_string().into_bytes()];
        arguments.push(Envelope::Control(control).encode().to_vec());
        arguments.extend(numbered);
        arguments.push(name);
        arguments.extend(rest);
        arguments.extend(number.map(|number| number.to_string().into_bytes()));
        let keys = [Some(keys.control_log()), Some(names), numbers].into_iter().flatten().collect();
        Some(Self { keys, arguments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(what: What, expire_at: i64) -> (Vec<String>, Vec<String>) {
        let order = Order::Revocation(Revocation { what: Some(what), expire_at });
        let control = Control { sender: "n".into(), time_ms: 1, order: Some(order) };
        let Call { keys, arguments } = Call::new(&Keys::new("p", 0), control, 100).unwrap();
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        (keys, arguments.iter().skip(4).map(text).collect())
    }

    #[test]
    fn each_kind_has_its_book() {
        let max = REVOCATIONS_MAX.to_string();
        let before = What::IssuedBefore(IssuedBefore { user: "42".into(), time: 90 });
        let table = [
            (What::Token("t1".into()), 200, vec!["p:revoked:tokens"], vec!["t1", "200", "100", &max]),
            (What::Token("t1".into()), 0, vec!["p:revoked:tokens"], vec!["t1", "+inf", "100", &max]),
            (before, 200, vec!["p:revoked:users", "p:revoked:before"], vec!["42", "200", "100", &max, "90"]),
            (What::Block("42".into()), 0, vec!["p:blocked:users"], vec!["42", "+inf", "100", &max]),
            (What::Unblock("42".into()), 0, vec!["p:blocked:users"], vec!["42", "", "100", &max]),
        ];
        for (what, expire_at, books, arguments) in table {
            let (keys, found) = call(what, expire_at);
            assert_eq!(keys[0], "p:control:log");
            assert_eq!(
                (keys[1..].to_vec(), found),
                (books.into_iter().map(str::to_owned).collect(), arguments.into_iter().map(str::to_owned).collect(),)
            );
        }
    }

    #[test]
    fn other_orders_are_not_written_down() {
        let control = Control::default();
        assert_eq!(Call::new(&Keys::new("p", 0), control, 1), None);
    }
}
