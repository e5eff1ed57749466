//! What an operator should know of a Redis that works and yet cannot keep what is promised: told once,
//! after a link has come up. A server that does not say is believed to be well.

use crate::redis_link::{Link, LinkError, pipe};

/// The first version that is known to do all that is asked of it.
const VERSION_MIN: (u32, u32) = (6, 2);

/// What has been asked and told.
#[derive(Debug, Default)]
pub(super) struct Advice {
    /// The server that is linked now was asked.
    asked: bool,
    warned_of_eviction: bool,
    warned_of_version: bool,
}

impl Advice {
    /// Another server may answer from now on.
    pub(super) fn ask_again(&mut self) {
        self.asked = false;
    }

    /// Looks at the server, once after each link-up.
    pub(super) async fn give(&mut self, link: &Link) {
        if self.asked {
            return;
        }
        self.asked = true;
        if let Ok(policy) = ask_policy(link).await
            && evicts(&policy)
            && !std::mem::replace(&mut self.warned_of_eviction, true)
        {
            tracing::warn!(
                policy,
                "Redis removes keys when its memory is full: histories may vanish before their time, and clients \
                 lose their place in them; set maxmemory-policy to noeviction"
            );
        }
        if let Ok(info) = ask_version(link).await
            && let Some(version) = version(&info)
            && version < VERSION_MIN
            && !std::mem::replace(&mut self.warned_of_version, true)
        {
            tracing::warn!(?version, least = ?VERSION_MIN, "this Redis is too old for histories and orders to sessions");
        }
    }
}

/// Often not allowed on hosted servers.
async fn ask_policy(link: &Link) -> Result<String, LinkError> {
    let mut ask = pipe();
    ask.cmd("CONFIG").arg("GET").arg("maxmemory-policy");
    let (answer,): (Vec<String>,) = link.admin(&ask).await?;
    Ok(answer.into_iter().nth(1).unwrap_or_default())
}

async fn ask_version(link: &Link) -> Result<String, LinkError> {
    let mut ask = pipe();
    ask.cmd("INFO").arg("server");
    let (answer,): (String,) = link.admin(&ask).await?;
    Ok(answer)
}

fn evicts(policy: &str) -> bool {
    // Also the `volatile-` ones: all that is kept here has its time.
    policy.starts_with("allkeys") || policy.starts_with("volatile")
}

fn version(info: &str) -> Option<(u32, u32)> {
    let text = info.lines().find_map(|line| line.strip_prefix("redis_version:"))?;
    let mut numbers = text.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"), Some((7, 0)));
        assert_eq!(version("redis_version:6.2\r\n"), Some((6, 2)));
        assert_eq!(version("redis_version:255.255.255\n"), Some((255, 255)));
        for unknown in ["", "redis_version:", "redis_version:7", "redis_version:x.y", "server:other"] {
            assert_eq!(version(unknown), None, "{unknown}");
        }
        assert!((6, 0) < VERSION_MIN && (7, 0) > VERSION_MIN);
    }

    #[test]
    fn policies() {
        assert!(evicts("allkeys-lru") && evicts("volatile-ttl"));
        assert!(!evicts("noeviction") && !evicts(""));
    }
}
