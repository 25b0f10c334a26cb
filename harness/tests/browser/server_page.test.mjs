// The page of the server of chapter 6, in a browser: node --test server_page.test.mjs, with the server's address in URL.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";

let browser, page;
const errors = [];

before(async () => {
  browser = await launch();
  page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(process.env.URL) && !url.startsWith("data:")) errors.push("asks for " + url);
  });
  await page.goto(process.env.URL);
});
after(() => browser?.close());

// Lines from point to point, as a mouse draws them; the canvas is 280 x 280.
async function draw(...points) {
  const box = await page.locator("#canvas").boundingBox();
  const [[x, y], ...rest] = points.map(([px, py]) => [box.x + px, box.y + py]);
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (const [px, py] of rest) await page.mouse.move(px, py, { steps: 5 });
  await page.mouse.up();
}
const digit = () => page.locator("#digit").innerText();
const until = (selector, text) => page.locator(selector, { hasText: text }).waitFor();

test("asks for a drawing before anything is drawn", async () => {
  assert.equal(await digit(), "?");
  assert.equal(await page.locator("#status").innerText(), "Nothing drawn yet.");
});

test("shows the digit that was drawn, and how sure the model is", async () => {
  await draw([140, 50], [140, 230]);
  await until("#digit", "1");
  const shares = await page.locator("#bars span:nth-child(3n)").allInnerTexts();
  assert.equal(shares.length, 10);
  const percent = shares.map((text) => parseInt(text));
  assert.equal(percent.indexOf(Math.max(...percent)), 1, String(shares));
});

test("clears the drawing, and reads another", async () => {
  await page.locator("#clear").click();
  assert.equal(await digit(), "?");
  await draw([80, 60], [200, 60], [120, 230]);
  await until("#digit", "7");
});

test("shows what the server is doing", async () => {
  await page.locator("#burst").click();
  await until("#status", /Of 100: \d+ answered, \d+ too busy\./);
  const [, answered, busy] = (await page.locator("#status").innerText()).match(/(\d+) answered, (\d+) too busy/);
  assert.equal(Number(answered) + Number(busy), 100, "each of 100 requests was answered, or refused");
  await until("#answers", /^\d+ \/ \d+ \/ \d+$/);
  await until("#health", /ms$/);
  await until("#latency", /ms$/);
  assert.match(await page.locator("#in_progress").innerText(), /^\d+$/);
});

test("is readable on a narrow screen", async () => {
  await page.setViewportSize({ width: 360, height: 800 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `the page is ${width} wide`);
});

test("asks nobody else for anything, and its script makes no error", () => {
  assert.deepEqual(errors, []);
});
