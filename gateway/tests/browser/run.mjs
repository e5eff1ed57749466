// The demo page in Chromium against a real `fanfare-gateway dev`: what a user is promised, step by step.
//
//   node run.mjs [GATEWAY] [--screenshot FILE] [--screenshot-narrow FILE]
//
// GATEWAY (or FANFARE_GATEWAY) is the binary, CHROMIUM the browser (/usr/bin/chromium). The command that
// the page shows is run as it stands, with the binaries beside the gateway in PATH.

import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { screenshot: { type: "string" }, "screenshot-narrow": { type: "string" } },
});
const gatewayPath = positionals[0] ?? process.env.FANFARE_GATEWAY;
if (!gatewayPath) {
  console.error("usage: node run.mjs GATEWAY [--screenshot FILE] [--screenshot-narrow FILE]");
  process.exit(2);
}

// Long enough for the slowest machine: who meets it has failed.
const PATIENCE_MS = 30_000;
const BROWSER_FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

let passed = 0;
let failed = 0;

/** Runs one assertion, and goes on after a failure. */
async function check(promise, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${promise}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${promise}\n      ${String(error.message ?? error).replaceAll("\n", "\n      ")}`);
  }
}

function expect(condition, words) {
  if (!condition) throw new Error(words);
}

/** Asks until the answer is right. */
async function until(words, ask) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    if (await ask().catch(() => false)) return;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${words}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

function freePort() {
  return new Promise((found, failed) => {
    const server = createServer().once("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}

// ---- the gateway --------------------------------------------------------------------------------

const port = await freePort();
const internalPort = await freePort();
const origin = `http://127.0.0.1:${port}`;
let gateway;

async function startGateway() {
  const args = ["dev", "--listen", `127.0.0.1:${port}`, "--internal-listen", `127.0.0.1:${internalPort}`];
  gateway = spawn(resolve(gatewayPath), args, { stdio: ["ignore", "pipe", "pipe"] });
  gateway.said = "";
  for (const stream of [gateway.stdout, gateway.stderr]) {
    stream.on("data", (text) => (gateway.said = (gateway.said + text).slice(-4000)));
  }
  gateway.ended = new Promise((ended) => gateway.once("close", ended));
  gateway.once("error", (error) => (gateway.said += error));
  await until("the gateway serves its page", async () => (await fetch(origin)).ok);
}

async function killGateway() {
  gateway.kill("SIGKILL");
  await gateway.ended;
}

/** Runs a line as a shell would; the answer is what it said. */
function shell(line) {
  const path = [process.env.FANFARE_WORKER && dirname(resolve(process.env.FANFARE_WORKER)), dirname(resolve(gatewayPath)), process.env.PATH];
  const env = { ...process.env, PATH: path.filter(Boolean).join(":") };
  return new Promise((done, refused) => {
    const child = spawn("sh", ["-c", line], { env, stdio: ["ignore", "pipe", "pipe"], timeout: PATIENCE_MS });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += text));
    child.once("close", (code) => (code === 0 ? done(said) : refused(new Error(`${line}\nended with ${code}: ${said}`))));
  });
}

// ---- the pages ----------------------------------------------------------------------------------

const complaints = [];
const foreign = [];
// While the gateway is gone, a browser complains of it, rightly.
let gatewayIsGone = false;

async function open(browser, name, viewport, colorScheme = "light") {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("pageerror", (error) => complaints.push(`${name}: ${error}`));
  page.on("console", (line) => {
    if (line.type() === "error" && !gatewayIsGone) complaints.push(`${name}: ${line.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) foreign.push(request.url());
  });
  await page.goto(`${origin}/?name=${name}`);
  return page;
}

const text = (page, id) => page.locator(`#${id}`).innerText();
const state = (page, word) => until(`#state is ${word}`, async () => (await text(page, "state")) === word);
const line = (page, id, words) => page.locator(`#${id} li`, { hasText: words });

async function say(page, words) {
  await page.fill("#chat-input", words);
  await page.press("#chat-input", "Enter");
}

async function expectNoSideways(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(content <= window, `the page is ${content} px wide in a window of ${window} px`);
}

/** Does as the page says, with other words; only this user may hear of it. */
async function notify(page, words) {
  const command = await text(page, "command");
  expect(command.length > 0, "no command is shown");
  const said = await shell(command);
  await until(`a note arrives after: ${command}\n${said}`, async () => (await page.locator("#notes li").count()) === words);
}

async function steps(browser) {
  const wide = { width: 1280, height: 860 };
  const ada = await open(browser, "ada", wide);
  const ben = await open(browser, "ben", wide, "dark");
  const cleo = await open(browser, "cleo", { width: 360, height: 740 });
  const everyone = [ada, ben, cleo];

  await check("every page connects", () => Promise.all(everyone.map((page) => state(page, "connected"))));
  await check("nothing scrolls sideways at 1280 px", () => expectNoSideways(ada));
  await check("nothing scrolls sideways at 360 px", () => expectNoSideways(cleo));

  await check("a chat message reaches everybody, once, under its sender's name", async () => {
    await say(ada, "hello from ada");
    for (const page of everyone) {
      await line(page, "chat-log", "hello from ada").waitFor();
      expect((await line(page, "chat-log", "hello from ada").count()) === 1, "more than once");
      expect((await line(page, "chat-log", "hello from ada").locator("b").innerText()) === "ada", "not under ada's name");
    }
  });
  await check("and so does the answer from a phone", async () => {
    await say(cleo, "hello from cleo");
    await line(ada, "chat-log", "hello from cleo").waitFor();
    await line(ben, "chat-log", "hello from cleo").waitFor();
  });
  await check("everybody sees who is here", async () => {
    for (const page of everyone) {
      await until("three are here", async () => (await text(page, "here")) === "3 here: ada, ben, cleo");
    }
  });
  await check("who comes later sees what was said before, in order, and is seen", async () => {
    const dora = await open(browser, "dora", wide);
    await line(dora, "chat-log", "hello from cleo").waitFor();
    const lines = await dora.locator("#chat-log li:not(.notice)").allInnerTexts();
    const said = lines.map((line) => line.split("\n").pop());
    expect(said.join() === "hello from ada,hello from cleo", `dora sees ${said}`);
    await line(ada, "chat-log", "dora has come").waitFor();
    await until("four are here", async () => (await text(ada, "here")).startsWith("4 here"));
    await dora.context().close();
  });
  await check("and, when the page is closed, is seen to leave", async () => {
    await line(ada, "chat-log", "dora has left").waitFor();
    expect((await text(ada, "here")) === "3 here: ada, ben, cleo", await text(ada, "here"));
  });
  await check("the command on the page reaches its user", () => notify(ada, 1));
  await check("and nobody else", async () => {
    // Ben's own note comes after ada's: had hers been for him, too, he would have two.
    await notify(ben, 1);
    expect((await ada.locator("#notes li").count()) === 1, "ada heard of ben's");
    expect((await cleo.locator("#notes li").count()) === 0, "cleo heard of one");
  });

  await check("the ticker's price changes", async () => {
    await until("there is a price", async () => /^\d+\.\d\d$/.test(await text(ada, "price")));
    const before = await text(ada, "price");
    await until("the price changes", async () => (await text(ada, "price")) !== before);
    expect((await ada.locator("#price-line polyline").count()) === 1, "no line is drawn");
  });
  await check("the round-trip time is a number and is drawn", async () => {
    await until("#rtt is a number", async () => /^\d+\.\d$/.test(await text(ada, "rtt")));
    expect((await ada.locator("#rtt-line polyline").count()) === 1, "no line is drawn");
  });
  await check("messages per second are counted and drawn", async () => {
    await until("#rate is over 0", async () => Number(await text(cleo, "rate")) > 0);
    expect((await cleo.locator("#rate-line polyline").count()) === 1, "no line is drawn");
  });

  if (options.screenshot || options["screenshot-narrow"]) {
    await say(ben, "two tabs, two gateways, one room");
    await until("the lines have some length", () => ada.locator("#rate-line polyline").evaluate((it) => it.points.length > 20));
  }
  if (options.screenshot) await ada.screenshot({ path: options.screenshot });
  if (options["screenshot-narrow"]) await cleo.screenshot({ path: options["screenshot-narrow"], fullPage: true });

  await check("markup in a message stays text", async () => {
    await say(ben, "<img src=x onerror=alert(1)>");
    await line(ada, "chat-log", "<img src=x onerror=alert(1)>").waitFor();
    expect((await ada.locator("#chat-log img").count()) === 0, "it became an element");
  });
  await check("a word without an end does not make the phone scroll sideways", async () => {
    await say(ada, "o".repeat(600));
    await line(cleo, "chat-log", "o".repeat(600)).waitFor();
    await expectNoSideways(cleo);
  });

  gatewayIsGone = true;
  await killGateway();
  await check("a gateway that is killed: every page says 'reconnecting'", async () => {
    await Promise.all(everyone.map((page) => state(page, "reconnecting")));
    await line(ada, "chat-log", "Reconnecting").waitFor();
  });
  await check("what is said meanwhile is not lost from the input", async () => {
    await say(ada, "too early");
    await until("the page says that it was not sent", async () => (await text(ada, "chat-problem")).includes("Not sent"));
    expect((await ada.inputValue("#chat-input")) === "too early", "the words are gone");
  });
  await startGateway();
  await check("a gateway that is back, with other secrets: every page says 'connected'", async () => {
    await Promise.all(everyone.map((page) => state(page, "connected")));
    await line(ada, "chat-log", "Connected again").waitFor();
  });
  gatewayIsGone = false;
  await check("and the chat goes on", async () => {
    await say(ada, "still here");
    await line(ben, "chat-log", "still here").waitFor();
    await line(cleo, "chat-log", "still here").waitFor();
    await say(cleo, "me too");
    await line(ada, "chat-log", "me too").waitFor();
  });
  await check("and the command on the page has the new secret", () => notify(ada, 2));
  await check("and the ticker goes on", async () => {
    const before = await text(ben, "price");
    await until("the price changes", async () => (await text(ben, "price")) !== before);
  });

  await check("a new name can be chosen", async () => {
    await ben.fill("#name", "b e n!_2");
    expect((await ben.inputValue("#name")) === "ben_2", "what no name can have was not taken out");
    await ben.press("#name", "Enter");
    await until("the command is for the new name", async () => (await text(ben, "command")).includes("ben_2"));
    await state(ben, "connected");
    await say(ben, "new name, old friend");
    await line(ada, "chat-log", "new name, old friend").waitFor();
    expect((await line(ada, "chat-log", "new name, old friend").locator("b").innerText()) === "ben_2", "under another name");
  });

  await check("nothing scrolls sideways in the end", () => Promise.all(everyone.map(expectNoSideways)));
  await check("nothing was asked of other hosts", async () => expect(foreign.length === 0, foreign.join("\n")));
  await check("the browser had no complaint", async () => expect(complaints.length === 0, complaints.join("\n")));
}

// ---- all of it ----------------------------------------------------------------------------------

let browser;
try {
  await startGateway();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: BROWSER_FLAGS });
  await steps(browser);
} catch (error) {
  failed += 1;
  console.log(`FAIL  ${error.stack ?? error}`);
} finally {
  await browser?.close();
  if (failed > 0 && gateway) console.log(`---- the gateway's last words\n${gateway.said}`);
  gateway?.kill("SIGKILL");
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
