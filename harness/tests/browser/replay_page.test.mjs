// The page that `learn replay --html` writes, in a browser: node --test replay_page.test.mjs, with the page's path in PAGE.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { launch } from "./browser.mjs";

let browser, page;
const errors = [];

before(async () => {
  browser = await launch();
  page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) errors.push("asks for " + request.url());
  });
  await page.goto(pathToFileURL(process.env.PAGE).href);
});
after(() => browser?.close());

const selected = () => page.locator("#steps tbody tr[aria-selected=true]");
const step = async () => Number(await selected().evaluate((row) => row.rowIndex));
const shownLine = () => page.locator("#source .row.here").innerText();
const steps = () => page.locator("#steps tbody tr").count();

test("tells which test failed, how, and in which schedule", async () => {
  assert.equal(await page.locator("#test").innerText(), "Counter.LosesNoIncrement");
  assert.equal(await page.locator("#kind").innerText(), "wrong answer");
  assert.match(await page.locator("#found").innerText(), /schedule \d+, found by .*learn replay 1\.3-/);
  assert.equal(await page.locator("#steps th").count(), 4, "a column for each of two threads, and two more");
});

test("begins at the first step", async () => {
  assert.equal(await step(), 1);
});

test("steps with the arrow keys and with j and k, and stops at either end", async () => {
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("j");
  assert.equal(await step(), 3);
  await page.keyboard.press("k");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  assert.equal(await step(), 1);
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowDown");
  assert.equal(await step(), await steps());
  await page.keyboard.press("Home");
  assert.equal(await step(), 1);
});

test("shows the line of the source that each step was made at", async () => {
  const seen = [];
  for (let i = 0; i < (await steps()); ++i) {
    const what = await selected().locator(".what").innerText();
    if (/^(loads|stores) value_/.test(what)) seen.push([what.split(" ")[0], await shownLine()]);
    await page.keyboard.press("ArrowDown");
  }
  assert.ok(seen.some(([what, line]) => what === "stores" && line.includes("value_.store(before + 1);")), String(seen));
  assert.ok(seen.some(([what, line]) => what === "loads" && line.includes("value_.load();")), String(seen));
});

test("names the file, and shows the test's when a step is there", async () => {
  await page.keyboard.press("Home");
  assert.equal(await page.locator("#file").innerText(), "counter_test.cpp");
  // Its source says "</script>" and is shown to the end all the same.
  assert.match(await page.locator("#source pre").innerText(), /after an increment by each of 2 threads/);
});

test("keeps the values of the objects as they are at the step", async () => {
  await page.keyboard.press("Home");
  assert.equal(await page.locator("#state tr").filter({ hasText: "value_" }).count(), 0);
  await page.keyboard.press("End");
  const row = page.locator("#state tr").filter({ hasText: "value_" });
  assert.match(await row.innerText(), /value_\s+1/);
});

test("goes to where another thread goes on with n and p", async () => {
  const thread = () => selected().evaluate((row) => [...row.children].findIndex((cell) => cell.className.includes("on")));
  await page.keyboard.press("Home");
  assert.equal(await thread(), 0);
  await page.keyboard.press("n");
  assert.equal(await thread(), 1);
  await page.keyboard.press("p");
  assert.equal(await thread(), 0);
});

test("goes to the step that is clicked", async () => {
  await page.locator("#steps tbody tr").nth(2).click();
  assert.equal(await step(), 3);
});

test("is readable on a narrow screen", async () => {
  await page.setViewportSize({ width: 420, height: 800 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 420, `the page is ${width} wide`);
  await page.setViewportSize({ width: 1200, height: 800 });
});

test("asks for nothing else, and its script makes no error", () => {
  assert.deepEqual(errors, []);
});
