// The demo page of `fanfare-gateway dev`: a small client of the Centrifuge JSON protocol, and a page
// that shows what it hears. For your own pages take the npm package `centrifuge`; this one is here so
// that the whole conversation can be read in one file.

// ---- the client ---------------------------------------------------------------------------------

const CALL_TIMEOUT_MS = 5_000;
const RETRY_FIRST_MS = 300;
const RETRY_MAX_MS = 5_000;
// How much later than promised a ping may come before the link counts as dead.
const PING_GRACE_MS = 10_000;

const INVALID_TOKEN = 3500;
const TEMPORARY = 100;

/** A request that the gateway refused, or that found no answer. */
class RequestError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * One connection that renews itself, and asks for what it has missed. `events` has the callbacks
 * `state(state, detail)`, `connected(result)`, `subscribed(channel, result)`,
 * `publication(channel, publication)`, `joined(channel, info)` and `left(channel, info)`.
 */
class Client {
  #events; #url; #fetchToken; #socket; #token; #retryTimer; #pingTimer; #refreshTimer;
  #channels = new Set();
  // Those to which the gateway subscribes by itself.
  #serverSide = [];
  // What was seen last of each channel that can be recovered: `{ epoch, offset }`.
  #positions = new Map();
  #calls = new Map();
  #lastId = 0;
  #failures = 0;
  #ready = false;
  #everReady = false;
  #closed = false;
  #answerPings = false;
  #pingEveryMs = 25_000;

  constructor(url, fetchToken, events) {
    this.#url = url;
    this.#fetchToken = fetchToken;
    this.#events = events;
  }

  /** Subscribes now, if connected, and after each connect. */
  subscribe(channel) {
    this.#channels.add(channel);
    if (this.#ready) this.#subscribe(channel);
  }

  publish(channel, data) {
    return this.#call("publish", { channel, data });
  }

  /** Who is on a channel: `{ client: info }`. */
  async presence(channel) {
    return (await this.#call("presence", { channel })).presence ?? {};
  }

  /** The latest publications of a channel, from old to new. */
  async latest(channel, limit) {
    return ((await this.#call("history", { channel, limit, reverse: true })).publications ?? []).reverse();
  }

  /**
   * Milliseconds to the gateway and back. The protocol has no ping for clients; but to leave a channel
   * that is not held has an answer and no effect.
   */
  async roundTrip() {
    const begin = performance.now();
    await this.#call("unsubscribe", { channel: "demo-round-trip" });
    return performance.now() - begin;
  }

  get connected() {
    return this.#ready;
  }

  async connect() {
    clearTimeout(this.#retryTimer);
    if (this.#closed || this.#socket) return;
    this.#events.state(this.#everReady ? "reconnecting" : "connecting", "");
    try {
      this.#token ??= await this.#fetchToken();
    } catch (error) {
      return this.#retry(error.message);
    }
    // While the token was on its way, somebody else may have been quicker.
    if (this.#closed || this.#socket) return;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => this.#greet(socket);
    socket.onmessage = (message) => this.#receive(message.data);
    socket.onclose = (close) => this.#lost(socket, close.code, close.reason);
    this.#expectPing(PING_GRACE_MS);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    this.#drop();
  }

  async #greet(socket) {
    let result;
    try {
      const subs = Object.fromEntries(this.#serverSide.map((channel) => [channel, this.#since(channel)]));
      result = await this.#call("connect", { token: this.#token, name: "demo", subs }, ({ subs }) => {
        this.#serverSide = Object.keys(subs ?? {});
        for (const channel of this.#serverSide) this.#enter(channel, subs[channel]);
      });
    } catch (error) {
      // Also an expired token ends here: the next try brings a new one.
      this.#token = undefined;
      return this.#lost(socket, error.code, error.message);
    }
    this.#failures = 0;
    this.#ready = this.#everReady = true;
    this.#answerPings = result.pong ?? false;
    this.#pingEveryMs = (result.ping ?? 25) * 1000;
    this.#expectPing(this.#pingEveryMs + PING_GRACE_MS);
    if (result.expires) this.#refreshIn(result.ttl);
    this.#events.state("connected", "");
    this.#events.connected(result);
    for (const channel of this.#channels) {
      if (!this.#serverSide.includes(channel)) this.#subscribe(channel);
    }
  }

  async #subscribe(channel) {
    try {
      await this.#call("subscribe", { channel, ...this.#since(channel) }, (result) => this.#enter(channel, result));
    } catch (error) {
      if (error.code !== TEMPORARY) return;
      setTimeout(() => this.#ready && this.#subscribe(channel), RETRY_MAX_MS * (0.5 + Math.random() / 2));
    }
  }

  /** What asks for all that has come since. */
  #since(channel) {
    const position = this.#positions.get(channel);
    return position ? { recover: true, ...position } : {};
  }

  /** A subscription begins, with what was missed if it was asked for and is still there. */
  #enter(channel, result) {
    if (result.recoverable) this.#positions.set(channel, { epoch: result.epoch ?? "", offset: result.offset ?? 0 });
    else this.#positions.delete(channel);
    this.#events.subscribed(channel, result);
    for (const publication of result.publications ?? []) this.#hear(channel, publication);
  }

  #hear(channel, publication) {
    const position = this.#positions.get(channel);
    if (position && publication.offset) position.offset = publication.offset;
    this.#events.publication(channel, publication);
  }

  #refreshIn(seconds) {
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = setTimeout(async () => {
      try {
        this.#token = await this.#fetchToken();
        const result = await this.#call("refresh", { token: this.#token });
        if (result.expires) this.#refreshIn(result.ttl);
      } catch {
        // The gateway will close the connection, and the next one begins with a new token.
        this.#token = undefined;
      }
    }, Math.min(Math.max(1, seconds - 5) * 1000, 2 ** 31 - 1));
  }

  /**
   * Sends a command; resolves with its result. `take` gets it first, before anything else of the same
   * frame is looked at: a promise's turn comes only after that.
   */
  #call(method, params, take) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return Promise.reject(new RequestError(0, "not connected"));
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ id, [method]: params }));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, { error: { code: 0, message: "no answer in time" } }), CALL_TIMEOUT_MS);
      this.#calls.set(id, { method, resolve, reject, take, timer });
    });
  }

  #settle(id, reply) {
    const call = this.#calls.get(id);
    if (!call) return;
    this.#calls.delete(id);
    clearTimeout(call.timer);
    if (reply.error) return call.reject(new RequestError(reply.error.code, reply.error.message));
    const result = reply[call.method] ?? {};
    call.take?.(result);
    call.resolve(result);
  }

  /** A frame has one JSON object on each line: a reply (with an id), a push, or `{}`, a ping. */
  #receive(frame) {
    for (const line of frame.split("\n")) {
      if (!line) continue;
      const reply = JSON.parse(line);
      if (reply.id) this.#settle(reply.id, reply);
      else if (reply.push) this.#push(reply.push);
      else this.#ping();
    }
  }

  #ping() {
    // Exactly one pong for each ping.
    if (this.#answerPings) this.#socket?.send("{}");
    this.#expectPing(this.#pingEveryMs + PING_GRACE_MS);
  }

  #push({ channel, pub, join, leave, unsubscribe }) {
    if (pub) this.#hear(channel, pub);
    if (join) this.#events.joined(channel, join.info);
    if (leave) this.#events.left(channel, leave.info);
    // From 2500 on: publications may be missing, subscribe again.
    if (unsubscribe?.code >= 2500) this.#subscribe(channel);
  }

  #expectPing(withinMs) {
    clearTimeout(this.#pingTimer);
    const socket = this.#socket;
    this.#pingTimer = setTimeout(() => this.#lost(socket, 0, "the gateway has fallen silent"), withinMs);
  }

  #lost(socket, code, reason) {
    if (socket !== this.#socket) return;
    this.#drop();
    if (this.#closed) return;
    // Secrets of `dev` live as long as its process: after a restart, the token is of no use.
    const refused = code === INVALID_TOKEN;
    if (refused || code === 3005) this.#token = undefined;
    const terminal = (code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999) || code === 1009;
    if (terminal && !refused) {
      this.#closed = true;
      this.#events.state("disconnected", `${reason || "closed"} (${code})`);
    } else {
      this.#retry(reason || "connection lost");
    }
  }

  /** Waits longer after each failure, and never exactly as long as everybody else. */
  #retry(reason) {
    if (this.#closed) return;
    const whole = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#failures++);
    const wait = whole * (0.5 + Math.random() / 2);
    this.#events.state(this.#everReady ? "reconnecting" : "connecting", reason);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.connect(), wait);
  }

  #drop() {
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#refreshTimer);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#ready = false;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    socket?.close();
    for (const id of [...this.#calls.keys()]) this.#settle(id, { error: { code: 0, message: "connection lost" } });
  }
}

// ---- the page -----------------------------------------------------------------------------------

const NAME = /^[A-Za-z0-9_-]{1,32}$/;
const CHAT_LINES_MAX = 200;
const CHAT_LINES_BEFORE = 20;
const NAMES_SHOWN = 8;
const NOTES_MAX = 50;
const SAMPLES_MAX = 60;

const $ = (id) => document.getElementById(id);

/** Keeps the latest numbers and draws them as a line into an SVG of 100 by 24. */
class Line {
  #svg; #samples = []; #fromZero;

  constructor(svg, { fromZero }) {
    this.#svg = svg;
    this.#fromZero = fromZero;
  }

  clear() {
    this.#samples = [];
    this.#svg.replaceChildren();
  }

  add(sample) {
    this.#samples.push(sample);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    this.#draw();
  }

  #draw() {
    const low = this.#fromZero ? 0 : Math.min(...this.#samples);
    const span = Math.max(...this.#samples) - low || 1;
    const step = 100 / (SAMPLES_MAX - 1);
    const begin = 100 - step * (this.#samples.length - 1);
    const points = this.#samples.map((sample, at) => `${(begin + at * step).toFixed(2)},${(23 - ((sample - low) / span) * 22).toFixed(2)}`);
    this.#svg.replaceChildren(
      shape("polygon", [`${begin},24`, ...points, "100,24"]),
      shape("polyline", points),
    );
  }
}

function shape(kind, points) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  element.setAttribute("points", points.join(" "));
  return element;
}

/** An element with text; never HTML, whatever others send. */
function make(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

/** What a publication says to people. */
function words(data) {
  if (typeof data === "string") return data;
  return typeof data?.text === "string" ? data.text : JSON.stringify(data);
}

// -- chat

function say(item) {
  const log = $("chat-log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(item);
  while (log.children.length > CHAT_LINES_MAX) log.firstElementChild.remove();
  // Who has scrolled up is reading.
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function notice(text) {
  say(make("li", text, "notice"));
}

/** The last line that is shown, of which life of the channel. */
const shown = { epoch: "", offset: 0 };

function chatLine({ data, info, offset }) {
  const item = make("li", "", info?.user === name ? "mine" : "");
  item.append(make("b", info?.user || "backend"), words(data));
  if (offset) shown.offset = offset;
  return item;
}

/** After a reconnect, what was missed comes by itself; a new page asks for what was said before it came. */
async function enterChat({ epoch = "", offset = 0, was_recovering: again, recovered }) {
  const before = shown.epoch === epoch ? shown.offset : 0;
  shown.epoch = epoch;
  if (again && recovered) return;
  if (again) notice("Some of what was said meanwhile is lost.");
  const place = make("li", "", "notice");
  place.hidden = true;
  say(place);
  try {
    const lines = await client.latest("chat", CHAT_LINES_BEFORE);
    // What is newer than the subscription comes live.
    const missed = lines.filter((line) => line.offset > before && line.offset <= offset);
    const last = shown.offset;
    place.replaceWith(...missed.map(chatLine));
    shown.offset = Math.max(last, offset);
    $("chat-log").scrollTop = $("chat-log").scrollHeight;
  } catch {
    // Where there is no history, the room begins now.
    place.remove();
  }
}

// -- who is in the chat, by connection

let here = new Map();

async function lookAround() {
  try {
    const present = await client.presence("chat");
    here = new Map(Object.values(present).map(({ client, user }) => [client, user ?? ""]));
  } catch {
    here = new Map();
  }
  showHere();
}

const isHere = (user) => [...here.values()].includes(user);

function hearJoined({ client, user = "" }) {
  if (!isHere(user) && user !== name) notice(`${user || "Somebody"} has come.`);
  here.set(client, user);
  showHere();
}

function hearLeft({ client, user = "" }) {
  here.delete(client);
  if (!isHere(user) && user !== name) notice(`${user || "Somebody"} has left.`);
  showHere();
}

function showHere() {
  const users = [...new Set(here.values())].map((user) => user || "anonymous").sort();
  const more = users.length - NAMES_SHOWN;
  const names = users.slice(0, NAMES_SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
  $("here").textContent = users.length === 0 ? "" : `${users.length} here: ${names}`;
}

$("chat-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("chat-input").value.trim();
  if (!text) return;
  try {
    await client.publish("chat", { text });
    // What was typed meanwhile stays.
    if ($("chat-input").value.trim() === text) $("chat-input").value = "";
    $("chat-problem").textContent = "";
  } catch (error) {
    $("chat-problem").textContent = `Not sent: ${error.message}.`;
  }
});

// -- ticker

const quotes = new Map();
const priceLine = new Line($("price-line"), { fromZero: false });
let chosen;

function hearTicker({ data }) {
  const { symbol = "price", price } = data ?? {};
  if (typeof price !== "number") return;
  const before = quotes.get(symbol)?.price ?? price;
  quotes.set(symbol, { price, change: price - before });
  chosen ??= symbol;
  $("ticker-empty").hidden = true;
  if (symbol === chosen) showQuote();
  showSymbol(symbol, price);
}

function showQuote() {
  const { price, change } = quotes.get(chosen);
  $("symbol").textContent = chosen;
  $("price").textContent = price.toFixed(2);
  $("change").textContent = change === 0 ? "±0.00" : `${change > 0 ? "▲" : "▼"} ${Math.abs(change).toFixed(2)}`;
  $("change").className = change === 0 ? "change" : `change ${change > 0 ? "up" : "down"}`;
  priceLine.add(price);
}

function showSymbol(symbol, price) {
  let button = [...$("symbols").children].find((button) => button.dataset.symbol === symbol);
  if (!button) {
    button = make("button", "", "quiet");
    button.type = "button";
    button.dataset.symbol = symbol;
    button.addEventListener("click", () => choose(symbol));
    $("symbols").append(button);
    choose(chosen);
  }
  button.textContent = `${symbol} ${price.toFixed(2)}`;
}

function choose(symbol) {
  if (symbol !== chosen) {
    chosen = symbol;
    priceLine.clear();
    showQuote();
  }
  for (const button of $("symbols").children) button.setAttribute("aria-pressed", String(button.dataset.symbol === chosen));
}

// -- notifications

function hearNote({ data }) {
  const item = make("li", words(data));
  item.append(make("time", new Date().toLocaleTimeString()));
  $("notes").prepend(item);
  while ($("notes").children.length > NOTES_MAX) $("notes").lastElementChild.remove();
}

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("command").textContent);
    $("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("command"));
    $("copy").textContent = "Selected";
  }
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
});

// -- connection

let name;
let client;
let lostAt;
let heard = 0;

async function fetchToken(user) {
  const response = await fetch(`/demo/token?user=${encodeURIComponent(user)}`, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) })
    .catch(() => { throw new Error("the gateway is not there"); });
  if (!response.ok) throw new Error(`no token (${response.status})`);
  const { token, command } = await response.json();
  $("command").textContent = command;
  return token;
}

function showState(state, detail) {
  document.body.dataset.state = state;
  $("state").textContent = state;
  $("state-detail").textContent = detail || "\u00a0";
  if (state !== "connected") $("rtt").textContent = "–";
  if (state === "reconnecting" && lostAt === undefined) {
    lostAt = performance.now();
    notice("Connection lost. Reconnecting …");
  }
  if (state === "disconnected") notice(`The gateway has ended the connection for good: ${detail}. Reload the page to try again.`);
  if (state === "connected" && lostAt !== undefined) {
    notice(`Connected again after ${((performance.now() - lostAt) / 1000).toFixed(1)} s.`);
    lostAt = undefined;
  }
}

function join(user) {
  name = user;
  $("name").value = user;
  sessionStorage.setItem("name", user);
  client?.close();
  lostAt = undefined;
  const personal = `#${user}`;
  const mine = new Client(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/connection/websocket`, () => fetchToken(user), {
    state: showState,
    connected: () => {
      $("state-detail").textContent = `to ${location.host} as ${user}`;
      measure();
    },
    subscribed: (channel, result) => {
      if (channel !== "chat") return;
      enterChat(result);
      lookAround();
    },
    joined: (channel, info) => channel === "chat" && hearJoined(info),
    left: (channel, info) => channel === "chat" && hearLeft(info),
    publication: (channel, publication) => {
      heard += 1;
      if (channel === "chat") say(chatLine(publication));
      else if (channel === "ticker") hearTicker(publication);
      else if (channel === personal) hearNote(publication);
    },
  });
  client = mine;
  for (const channel of ["chat", "ticker", personal]) mine.subscribe(channel);
  mine.connect();
}

$("name").addEventListener("input", () => {
  const clean = $("name").value.replace(/[^A-Za-z0-9_-]/g, "").slice(0, 32);
  if (clean !== $("name").value) $("name").value = clean;
});

$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const user = $("name").value;
  if (!NAME.test(user) || user === name) return;
  notice(`You are ${user} now.`);
  $("notes").replaceChildren();
  join(user);
});

addEventListener("online", () => client.connect());

// -- what is measured

const rttLine = new Line($("rtt-line"), { fromZero: true });
const rateLine = new Line($("rate-line"), { fromZero: true });

async function measure() {
  if (!client.connected) return;
  try {
    const ms = await client.roundTrip();
    $("rtt").textContent = ms.toFixed(1);
    rttLine.add(ms);
  } catch {
    // The connection went down meanwhile, and its state says so.
  }
}

let countedAt = performance.now();

function count() {
  // Timers of hidden tabs are late: divide by the time that has really passed.
  const now = performance.now();
  const rate = heard / ((now - countedAt) / 1000);
  heard = 0;
  countedAt = now;
  $("rate").textContent = rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
  rateLine.add(rate);
}

setInterval(measure, 1000);
setInterval(count, 1000);

const asked = new URLSearchParams(location.search).get("name") ?? "";
const kept = sessionStorage.getItem("name") ?? "";
join([asked, kept].find((user) => NAME.test(user)) ?? `guest-${Math.floor(1000 + Math.random() * 9000)}`);
