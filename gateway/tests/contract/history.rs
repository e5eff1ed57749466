//! Streams: what every broker promises of what it keeps.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfare_gateway::broker::{
    Ack, BrokerError, BrokerEvent, HistoryPage, HistoryQuery, IdempotencyKey, Outcome, Outgoing, PublishOptions,
    Published, Retention, Version,
};
use fanfare_gateway::config::section::BrokerUrl;
use fanfare_gateway::model::{ByteSize, ConnectionId, Position, Publication};

use crate::{LIMIT, Node, World, channel, config, on_all_brokers, outgoing};

on_all_brokers!(
    offsets_count_from_one_and_the_answer_is_what_is_delivered,
    concurrent_publishers_get_one_numbering,
    pages_forwards_and_backwards,
    a_page_ends_at_its_size,
    questions_beyond_both_ends,
    only_the_newest_are_kept,
    a_stream_expires_and_its_numbering_goes_on,
    numbering_expires_and_another_epoch_begins,
    a_stream_begins_with_the_first_question,
    tops_of_many,
    forgotten_publications_leave_their_numbering,
    nothing_of_a_kept_publication_is_lost,
    one_key_is_one_publication_on_all_nodes,
    a_key_is_its_channels,
    a_key_on_a_channel_without_history,
    a_malformed_key_is_refused,
    stale_versions_are_dropped,
    versions_of_another_epoch_win,
    plain_publications_are_not_kept,
);

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Enough for every case that does not say otherwise.
pub(crate) fn kept() -> PublishOptions {
    kept_for(100, MINUTE, MINUTE * 10)
}

pub(crate) fn kept_for(size: usize, ttl: Duration, meta_ttl: Duration) -> PublishOptions {
    PublishOptions { retention: Some(Retention { size, ttl, meta_ttl }), ..PublishOptions::default() }
}

pub(crate) fn keyed(text: &str, options: PublishOptions) -> PublishOptions {
    PublishOptions { key: Some(IdempotencyKey { text: text.into(), window: MINUTE }), ..options }
}

fn versioned(number: u64, epoch: &str) -> PublishOptions {
    PublishOptions { version: Some(Version { number, epoch: epoch.into() }), ..kept() }
}

pub(crate) fn everything() -> HistoryQuery {
    HistoryQuery { since: None, limit: 10_000, size: ByteSize::mib(64), reverse: false, meta_ttl: MINUTE * 10 }
}

pub(crate) fn since(offset: u64) -> HistoryQuery {
    HistoryQuery { since: Some(offset), ..everything() }
}

fn backwards(query: HistoryQuery) -> HistoryQuery {
    HistoryQuery { reverse: true, ..query }
}

impl Node {
    pub(crate) async fn say(&self, name: &str, text: &str, options: PublishOptions) -> Result<Published, BrokerError> {
        self.broker.publish(&channel(name), outgoing(text), options).await
    }

    /// Publishes to a stream; answers where it stands.
    pub(crate) async fn keep(&self, name: &str, text: &str) -> Position {
        let published = self.say(name, text, kept()).await.unwrap();
        assert_eq!(published.outcome, Outcome::Sent);
        published.position.expect("what is kept has a position")
    }

    pub(crate) async fn page(&self, name: &str, query: HistoryQuery) -> HistoryPage {
        self.broker.history(&channel(name), query).await.unwrap()
    }

    pub(crate) async fn top(&self, name: &str) -> Option<Position> {
        let tops = self.broker.tops(&[channel(name)]).await.unwrap();
        assert_eq!(tops.len(), 1);
        tops.into_iter().next().unwrap()
    }

    /// The next publication, whole.
    pub(crate) async fn heard(&mut self) -> Outgoing {
        let event = tokio::time::timeout(LIMIT, self.events.recv()).await.expect("an event comes in time");
        match event {
            Some(BrokerEvent::Published { outgoing, .. }) => outgoing,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn texts(page: &HistoryPage) -> Vec<String> {
    let text = |publication: &Publication| String::from_utf8(publication.data.to_vec()).unwrap();
    page.publications.iter().map(|retained| text(retained.publication())).collect()
}

pub(crate) fn offsets(page: &HistoryPage) -> Vec<u64> {
    page.publications.iter().map(|retained| retained.position().offset).collect()
}

/// Publishes 1, 2, ... to "a".
async fn keep_many(node: &Node, many: u64) -> Position {
    let mut top = None;
    for n in 1..=many {
        top = Some(node.keep("a", &n.to_string()).await);
    }
    top.expect("at least one")
}

async fn offsets_count_from_one_and_the_answer_is_what_is_delivered(mut world: World) {
    for node in &world.nodes {
        node.subscribe(&["a", "b"]).await;
    }
    let mut answered = Vec::new();
    for n in 0..6 {
        let publisher = &world.nodes[n % world.nodes.len()];
        answered.push(publisher.keep("a", &n.to_string()).await);
    }
    let other = world.first().keep("b", "x").await;
    assert_eq!(answered.iter().map(|position| position.offset).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(answered.iter().all(|position| position.epoch == answered[0].epoch));
    assert_eq!(other.offset, 1);
    assert_ne!(other.epoch, answered[0].epoch, "each stream has an epoch of its own");
    for node in &mut world.nodes {
        for (n, position) in answered.iter().enumerate() {
            let heard = node.heard().await.publication;
            assert_eq!((&heard.data[..], heard.position.as_ref()), (n.to_string().as_bytes(), Some(position)));
        }
    }
    for node in &world.nodes {
        let page = node.page("a", everything()).await;
        assert_eq!(&page.stream.top, answered.last().unwrap());
        assert_eq!(page.stream.previous, None);
        let positions: Vec<Position> = page.publications.iter().map(|one| one.position().clone()).collect();
        assert_eq!(positions, answered);
        assert_eq!(texts(&page), ["0", "1", "2", "3", "4", "5"]);
    }
}

async fn concurrent_publishers_get_one_numbering(mut world: World) {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 50;
    for node in &world.nodes {
        node.subscribe(&["a"]).await;
    }
    let publishers = (0..PUBLISHERS).map(|publisher| {
        let broker = world.nodes[publisher % world.nodes.len()].broker.clone();
        tokio::spawn(async move {
            let mut answered = Vec::new();
            for n in 0..EACH {
                let text = format!("{publisher} {n}");
                let published =
                    broker.publish(&channel("a"), outgoing(&text), kept_for(1000, MINUTE, MINUTE)).await.unwrap();
                answered.push((published.position.unwrap().offset, text));
            }
            assert!(answered.is_sorted(), "each publisher's own order is kept");
            answered
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let mut answered = Vec::new();
    for publisher in publishers {
        answered.extend(publisher.await.unwrap());
    }
    answered.sort();
    assert!(answered.iter().map(|(offset, _)| *offset).eq(1..=(PUBLISHERS * EACH) as u64));
    for node in &mut world.nodes {
        for (offset, text) in &answered {
            let heard = node.heard().await.publication;
            assert_eq!((&heard.data[..], heard.position.unwrap().offset), (text.as_bytes(), *offset));
        }
        let page = node.page("a", everything()).await;
        let stored: Vec<(u64, String)> = offsets(&page).into_iter().zip(texts(&page)).collect();
        assert_eq!(stored, answered);
    }
}

async fn pages_forwards_and_backwards(world: World) {
    let node = world.first();
    let top = keep_many(node, 30).await;
    let limit = |limit, query| HistoryQuery { limit, ..query };
    for (query, expected) in [
        (everything(), (1..=30).collect::<Vec<u64>>()),
        (backwards(everything()), (1..=30).rev().collect()),
        (limit(3, everything()), vec![1, 2, 3]),
        (limit(3, backwards(everything())), vec![30, 29, 28]),
        (limit(3, since(10)), vec![11, 12, 13]),
        (limit(3, backwards(since(10))), vec![9, 8, 7]),
        (limit(25, since(3)), (4..=28).collect()),
        (limit(25, backwards(since(28))), (3..=27).rev().collect()),
        (since(27), vec![28, 29, 30]),
        (since(30), vec![]),
        (since(0), (1..=30).collect()),
        (backwards(since(3)), vec![2, 1]),
        (backwards(since(1)), vec![]),
        (limit(0, everything()), vec![]),
        (limit(1, since(29)), vec![30]),
    ] {
        let page = node.page("a", query.clone()).await;
        assert_eq!(offsets(&page), expected, "{query:?}");
        assert_eq!(page.stream.top, top);
        for retained in &page.publications {
            assert_eq!(retained.position().epoch, top.epoch);
            assert_eq!(&retained.publication().data[..], retained.position().offset.to_string().as_bytes());
        }
    }
}

async fn a_page_ends_at_its_size(world: World) {
    let node = world.first();
    for _ in 0..40 {
        node.keep("a", &"x".repeat(1000)).await;
    }
    let sized = |size, query| HistoryQuery { size: ByteSize(size), ..query };
    for (query, expected) in [
        (sized(3500, everything()), vec![1, 2, 3]),
        (sized(3500, backwards(everything())), vec![40, 39, 38]),
        (sized(3500, since(38)), vec![39, 40]),
        (sized(15_500, everything()), (1..=15).collect()),
        // One is always given: else a reader would ask for ever.
        (sized(999, everything()), vec![1]),
        (sized(0, since(5)), vec![6]),
        (sized(0, backwards(everything())), vec![40]),
        (HistoryQuery { limit: 2, ..sized(3500, everything()) }, vec![1, 2]),
    ] {
        assert_eq!(offsets(&node.page("a", query.clone()).await), expected, "{query:?}");
    }
}

async fn questions_beyond_both_ends(world: World) {
    let node = world.first();
    let top = keep_many(node, 3).await;
    for offset in [3, 4, 1 << 53, u64::MAX - 1, u64::MAX] {
        let page = node.page("a", since(offset)).await;
        assert_eq!((offsets(&page), page.stream.top), (vec![], top.clone()), "{offset}");
    }
    for offset in [4, (1 << 53) + 1, u64::MAX - 1, u64::MAX] {
        assert_eq!(offsets(&node.page("a", backwards(since(offset))).await), [3, 2, 1], "{offset}");
    }
    assert_eq!(offsets(&node.page("a", backwards(since(0))).await), [0; 0]);
    let many = HistoryQuery { limit: usize::MAX, size: ByteSize(usize::MAX), ..everything() };
    assert_eq!(offsets(&node.page("a", many).await), [1, 2, 3]);
}

async fn only_the_newest_are_kept(world: World) {
    let node = world.first();
    for n in 1..=25 {
        node.say("a", &n.to_string(), kept_for(10, MINUTE, MINUTE)).await.unwrap();
        let page = node.page("a", everything()).await;
        let oldest = u64::saturating_sub(n, 10) + 1;
        assert_eq!(offsets(&page), (oldest..=n).collect::<Vec<_>>());
    }
    // A smaller bound holds from the next publication on.
    node.say("a", "26", kept_for(1, MINUTE, MINUTE)).await.unwrap();
    assert_eq!(offsets(&node.page("a", everything()).await), [26]);
    assert_eq!(offsets(&node.page("a", since(3)).await), [26], "what is missing before it shows in the offsets");
}

/// Asks until a page is empty: when exactly a server forgets is its own business.
async fn until_empty(node: &Node, name: &str) -> HistoryPage {
    let asking = async {
        loop {
            let page = node.page(name, everything()).await;
            if page.publications.is_empty() {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.expect("it expires")
}

async fn a_stream_expires_and_its_numbering_goes_on(world: World) {
    let node = world.first();
    let options = kept_for(10, Duration::from_millis(100), MINUTE);
    node.say("a", "1", options.clone()).await.unwrap();
    let second = node.say("a", "2", options.clone()).await.unwrap().position.unwrap();
    let page = until_empty(node, "a").await;
    assert_eq!(page.stream.top, second);
    let third = node.say("a", "3", kept()).await.unwrap().position.unwrap();
    assert_eq!(third, Position { offset: 3, ..second });
    assert_eq!(offsets(&node.page("a", everything()).await), [3]);
}

async fn numbering_expires_and_another_epoch_begins(world: World) {
    let node = world.first();
    let short = Duration::from_millis(100);
    let first = node.say("a", "1", kept_for(10, short, short)).await.unwrap().position.unwrap();
    let gone = async {
        while node.top("a").await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("it expires");
    let anew = node.keep("a", "2").await;
    assert_eq!(anew.offset, 1);
    assert_ne!(anew.epoch, first.epoch);
    let page = node.page("a", everything()).await;
    assert_eq!((texts(&page), page.stream.top, page.stream.previous), (vec!["2".to_owned()], anew, None));
}

async fn a_stream_begins_with_the_first_question(world: World) {
    let node = world.first();
    assert_eq!(node.top("a").await, None);
    let nothing = HistoryQuery { limit: 0, ..everything() };
    let page = node.page("a", nothing.clone()).await;
    assert_eq!((page.stream.top.offset, page.publications.len()), (0, 0));
    assert_eq!(node.page("a", everything()).await.stream.top, page.stream.top, "it is kept");
    assert_eq!(node.top("a").await, Some(page.stream.top.clone()));
    let first = node.keep("a", "x").await;
    assert_eq!(first, Position { offset: 1, ..page.stream.top });
}

async fn tops_of_many(world: World) {
    let node = world.first();
    let mut expected = Vec::new();
    for n in 0..50 {
        expected.push(Some(node.keep(&format!("c{n}"), "x").await));
        if n % 10 == 0 {
            expected.push(None);
        }
    }
    let mut names = Vec::new();
    for n in 0..50 {
        names.push(channel(&format!("c{n}")));
        if n % 10 == 0 {
            names.push(channel(&format!("none{n}")));
        }
    }
    for node in &world.nodes {
        assert_eq!(node.broker.tops(&names).await.unwrap(), expected);
        assert_eq!(node.broker.tops(&[]).await.unwrap(), []);
        let many = vec![channel("c7"); 2000];
        assert_eq!(node.broker.tops(&many).await.unwrap().len(), 2000);
    }
    assert_eq!(node.top("none0").await, None, "asking has begun nothing");
}

async fn forgotten_publications_leave_their_numbering(mut world: World) {
    world.first().subscribe(&["a"]).await;
    let top = keep_many(world.first(), 5).await;
    world.first().broker.forget(&channel("a")).await.unwrap();
    world.first().broker.forget(&channel("never")).await.unwrap();
    let page = world.first().page("a", everything()).await;
    assert_eq!((offsets(&page), &page.stream.top), (vec![], &top));
    assert_eq!(world.first().keep("a", "6").await, Position { offset: 6, ..top });
    assert_eq!(texts(&world.first().page("a", everything()).await), ["6"]);
    for n in 1..=6 {
        assert_eq!(world.nodes[0].heard().await.publication.position.unwrap().offset, n);
    }
}

async fn nothing_of_a_kept_publication_is_lost(mut world: World) {
    let full = Outgoing {
        publication: Publication {
            data: (0..=255).collect::<Vec<u8>>().into(),
            info: None,
            tags: [("k".to_owned(), "v".to_owned())].into(),
            // Of somebody's making: the broker's counts.
            position: Some(Position { offset: 77, epoch: "forged".into() }),
            time_ms: 1_700_000_000_000,
            exclude: Some(ConnectionId::random()),
            delta: true,
        },
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    world.first().subscribe(&["a"]).await;
    // Also beyond one byte of offset, and of two.
    for n in 1..=300 {
        let published = world.first().broker.publish(&channel("a"), full.clone(), kept()).await.unwrap();
        let mut expected = full.clone();
        expected.publication.position = published.position;
        assert_eq!(expected.publication.position.as_ref().unwrap().offset, n);
        assert_eq!(world.nodes[0].heard().await, expected);
        let last = world.first().page("a", since(n - 1)).await;
        assert_eq!(last.publications[0].publication(), &expected.publication);
    }
}

async fn one_key_is_one_publication_on_all_nodes(mut world: World) {
    for node in &world.nodes {
        node.subscribe(&["a"]).await;
    }
    let first = world.first().keep("a", "before").await;
    let tries = (0..40).map(|n| {
        let broker = world.nodes[n % world.nodes.len()].broker.clone();
        tokio::spawn(async move { broker.publish(&channel("a"), outgoing("x"), keyed("k", kept())).await.unwrap() })
    });
    let tries: Vec<_> = tries.collect();
    let mut sent = 0;
    for answer in tries {
        let published = answer.await.unwrap();
        assert_eq!(published.position, Some(Position { offset: 2, ..first.clone() }));
        sent += usize::from(published.outcome == Outcome::Sent);
        assert_ne!(published.outcome, Outcome::Stale);
    }
    assert_eq!(sent, 1);
    world.first().keep("a", "after").await;
    // Still answered as the first one was, whatever has been said since.
    let repeat = world.first().say("a", "x", keyed("k", kept())).await.unwrap();
    assert_eq!((repeat.outcome, repeat.position.unwrap().offset), (Outcome::Repeated, 2));
    for node in &mut world.nodes {
        for text in ["before", "x", "after"] {
            assert_eq!(&node.heard().await.publication.data[..], text.as_bytes());
        }
        assert_eq!(texts(&node.page("a", everything()).await), ["before", "x", "after"]);
    }
}

async fn a_key_is_its_channels(world: World) {
    let node = world.first();
    let mut answers = Vec::new();
    for (name, key) in [("a", "k"), ("a", "K"), ("b", "k"), ("a", "k:1"), ("a", " {}*%7D' \\"), ("a", &"x".repeat(128))]
    {
        answers.push(node.say(name, "x", keyed(key, kept())).await.unwrap());
    }
    assert!(answers.iter().all(|published| published.outcome == Outcome::Sent), "{answers:?}");
    let repeat = node.say("a", "y", keyed(" {}*%7D' \\", kept())).await.unwrap();
    assert_eq!((repeat.outcome, repeat.position), (Outcome::Repeated, answers[4].position.clone()));
}

async fn a_key_on_a_channel_without_history(mut world: World) {
    for node in &world.nodes {
        node.subscribe(&["a"]).await;
    }
    let options = keyed("k", PublishOptions::default());
    let mut sent = 0;
    for n in 0..10 {
        let node = &world.nodes[n % world.nodes.len()];
        let published = node.say("a", "x", options.clone()).await.unwrap();
        assert_eq!(published.position, None);
        sent += usize::from(published.outcome == Outcome::Sent);
    }
    assert_eq!(sent, 1);
    for node in &mut world.nodes {
        let heard = node.heard().await.publication;
        assert_eq!((&heard.data[..], heard.position), (&b"x"[..], None));
    }
    world.first().publish("a", "end").await.unwrap();
    for node in &mut world.nodes {
        assert_eq!(node.until("a", "end").await, []);
    }
    assert_eq!(world.first().top("a").await, None, "no stream has begun");
}

async fn a_malformed_key_is_refused(mut world: World) {
    world.first().subscribe(&["a"]).await;
    let long = "x".repeat(129);
    let huge = "x".repeat(1024 * 1024);
    for key in ["", "a\r\nDEL b", "\n", "\0", "é", "\u{7f}", &long, &huge] {
        for options in [kept(), PublishOptions::default()] {
            let refusal = world.first().say("a", "x", keyed(key, options)).await;
            assert!(matches!(refusal, Err(BrokerError::Refused(_))), "{refusal:?}");
        }
    }
    assert_eq!(world.nodes[0].drain("a").await, []);
    assert_eq!(world.first().top("a").await, None);
}

async fn stale_versions_are_dropped(mut world: World) {
    world.first().subscribe(&["a"]).await;
    world.first().keep("a", "none").await;
    let mut said = vec!["none".to_owned()];
    for (number, newer) in [
        (5, true),
        (5, false),
        (4, false),
        (0, false),
        (6, true),
        (10, true),
        (9, false),
        (100, true),
        ((1 << 53) + 1, true),
        (1 << 53, false),
        ((1 << 53) + 2, true),
        (u64::MAX - 1, true),
        (u64::MAX, true),
        (u64::MAX, false),
    ] {
        let published = world.first().say("a", &number.to_string(), versioned(number, "")).await.unwrap();
        if newer {
            said.push(number.to_string());
        }
        let expected = if newer { Outcome::Sent } else { Outcome::Stale };
        assert_eq!((published.outcome, published.position.unwrap().offset), (expected, said.len() as u64), "{number}");
    }
    // One without a version is sent, and changes nothing for those with one.
    world.first().keep("a", "none").await;
    said.push("none".to_owned());
    assert_eq!(world.first().say("a", "x", versioned(7, "")).await.unwrap().outcome, Outcome::Stale);
    assert_eq!(texts(&world.first().page("a", everything()).await), said);
    for text in said {
        assert_eq!(&world.nodes[0].heard().await.publication.data[..], text.as_bytes());
    }
}

async fn versions_of_another_epoch_win(world: World) {
    let node = world.first();
    let mut outcome = Vec::new();
    for (number, epoch) in [(5, "x"), (1, "y"), (1, "y"), (2, "y"), (3, ""), (3, ""), (1, "a b\r\nc"), (1, "a b\r\nc")]
    {
        outcome.push(node.say("a", "v", versioned(number, epoch)).await.unwrap().outcome);
    }
    use Outcome::{Sent, Stale};
    assert_eq!(outcome, [Sent, Sent, Stale, Sent, Sent, Stale, Sent, Stale]);
}

async fn plain_publications_are_not_kept(mut world: World) {
    world.first().subscribe(&["a"]).await;
    let first = world.first().keep("a", "kept").await;
    let plain = world.first().say("a", "plain", PublishOptions::default()).await.unwrap();
    assert_eq!(plain, Published::default());
    let second = world.first().keep("a", "kept").await;
    assert_eq!(second, Position { offset: 2, ..first.clone() });
    for position in [Some(first), None, Some(second)] {
        assert_eq!(world.nodes[0].heard().await.publication.position, position);
    }
    assert_eq!(texts(&world.first().page("a", everything()).await), ["kept", "kept"]);
}

/// The node takes nothing more: what cannot be sent is not kept either.
#[tokio::test]
async fn memory_keeps_nothing_that_it_refuses() {
    let mut small = config(BrokerUrl::Memory);
    small.intake_max = 2;
    small.command_timeout = Duration::from_millis(50);
    let mut node = Node::memory(&small);
    node.subscribe(&["a"]).await;
    node.keep("a", "1").await;
    let second = node.keep("a", "2").await;
    for _ in 0..3 {
        assert_eq!(node.say("a", "lost", keyed("k", kept())).await, Err(BrokerError::Timeout));
    }
    assert_eq!(node.top("a").await, Some(second));
    assert_eq!(texts(&node.page("a", everything()).await), ["1", "2"]);
    node.heard().await;
    let third = node.say("a", "3", keyed("k", kept())).await.unwrap();
    assert_eq!((third.outcome, third.position.unwrap().offset), (Outcome::Sent, 3));
}

/// There are no replicas in one process, and who asks for them is not told that there are.
#[tokio::test]
async fn memory_has_no_replicas() {
    let node = Node::memory(&config(BrokerUrl::Memory));
    let options = PublishOptions { ack: Ack::Replicated { replicas: 1, timeout: MINUTE }, ..keyed("k", kept()) };
    for _ in 0..2 {
        let answer = node.say("a", "x", options.clone()).await;
        assert_eq!(answer, Err(BrokerError::NotReplicated { confirmed: 0, wanted: 1 }));
    }
    assert_eq!(texts(&node.page("a", everything()).await), ["x"], "it is stored, and once");
}

/// Epochs are random: two brokers never call two streams alike.
#[tokio::test]
async fn epochs_are_never_the_same() {
    let node = Node::memory(&config(BrokerUrl::Memory));
    let mut epochs = BTreeSet::new();
    for n in 0..1000 {
        let position = node.keep(&format!("c{n}"), "x").await;
        assert!(position.epoch.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(epochs.insert(position.epoch));
    }
}
