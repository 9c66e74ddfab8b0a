import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { until } from "#shared/testing/until.ts";

const lanes = join(import.meta.dir, "test-lanes.sh");
const start = (script: string): Bun.Subprocess<"ignore", "pipe", "pipe"> =>
  Bun.spawn({
    cmd: ["bash", "-c", `set -uo pipefail; . ${lanes}; ${script}`],
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });

/** What is said in the end, without where the log is and how long lanes took, and the exit code. */
async function run(script: string): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const child = start(script);
  const text = await new Response(child.stdout).text();
  const lines = text
    .replaceAll(/ in \d+ s$/gm, "")
    .trim()
    .split("\n");
  return { code: await child.exited, lines: lines.filter((line) => !line.startsWith("log: ")) };
}

test("lanes run beside each other, bear their names, and are added up", async () => {
  // Neither comes to its end without the other.
  const { code, lines } = await run(`
    mkfifo "$log/pipe"
    one() { echo from one >"$log/pipe"; check "a" true; check "b" true; }
    two() { cat "$log/pipe"; skipped=3; }
    lane one one; lane two two; finish`);
  expect(lines.toSorted()).toEqual([
    "2 passed, 0 failed, 3 skipped",
    "one: 2 passed, 0 failed, 0 skipped",
    expect.stringMatching(/^one: ok {4}a/),
    expect.stringMatching(/^one: ok {4}b/),
    "two: 0 passed, 0 failed, 3 skipped",
    "two: from one",
  ]);
  expect([code, lines.at(-1)]).toEqual([0, "2 passed, 0 failed, 3 skipped"]);
});

test("what fails in a lane is shown and fails the run", async () => {
  const { code, lines } = await run(
    `one() { check "a" true; check "b" sh -c 'echo why; exit 1'; }; lane one one; finish`,
  );
  expect([code, lines.at(-1)]).toEqual([1, "1 passed, 1 failed, 0 skipped"]);
  expect(lines).toContain("one: why");
});

test("a lane that ends before its end fails the run", async () => {
  const { code, lines } = await run(`
    good() { passed=7; }; bad() { passed=7; kill -KILL $BASHPID; }
    lane good good; lane bad bad; finish`);
  expect([code, ...lines.slice(-2)]).toEqual([
    1,
    "FAIL  the lane bad did not come to its end",
    "7 passed, 1 failed, 0 skipped",
  ]);
});

test("a lane waits for the end of another, and for none that was not started", async () => {
  const { lines } = await run(`
    first() { sleep 0.5; echo done; }; second() { until_ended first; until_ended none; echo after; }
    lane first first; lane second second; finish`);
  expect(lines.indexOf("first: done")).toBeLessThan(lines.indexOf("second: after"));
});

test("tests are counted as their runner says, and what a failed one said before is shown", async () => {
  const { code, lines } = await run(`
    npx() { printf 'x.test.ts:\\n(pass) a\\nwhat it said\\n(fail) b\\n\\n 4 pass\\n 2 skip\\n 1 fail\\n'; return 1; }
    bun_tests unit ./x; finish`);
  expect([code, lines.at(-1)]).toEqual([1, "4 passed, 1 failed, 2 skipped"]);
  expect(lines).toContain("what it said");
});

test.each(["", "echo 'panic: Segmentation fault'", "echo ' 4 pass'; echo ' 0 fail'"])(
  "a runner that crashes fails the run (%p)",
  async (says) => {
    const { code, lines } = await run(`passed=1; npx() { ${says || ":"}; return 139; }; bun_tests unit ./x; finish`);
    expect(code).toBe(1);
    expect(lines.at(-1)).toMatch(/^\d passed, 1 failed, 0 skipped$/);
  },
);

describe("a test that failed beside others", () => {
  const says = (...failed: readonly string[]): string => {
    const fails = failed.map((name) => `(fail) ${name}`);
    const lines = ["x.test.ts:", "(pass) a", ...fails, " 4 pass", ` ${failed.length} fail`];
    const summary = [`${failed.length} tests failed:`, ...fails];
    return `printf '%s\\n' ${[...lines, ...summary].map((line) => `'${line}'`).join(" ")}`;
  };
  const both = (first: string, second: string): string =>
    `npx() { case "$*" in *"--timings"*) ${first}; return 1 ;; *) ${second} ;; esac; }; bun_tests unit ./x.test.ts`;

  test("and passes by itself has passed, and is named", async () => {
    const { code, lines } = await run(`${both(says("b"), "[ $5 = ./x.test.ts ]")}; finish`);
    expect([code, lines.at(-1)]).toEqual([0, "5 passed, 0 failed, 0 skipped"]);
    expect(lines.at(-2)).toStartWith("CHANCE  x.test.ts failed beside other lanes");
  });

  test("and fails again has failed, with what it said", async () => {
    const { code, lines } = await run(`${both(says("b", "c"), "echo why again; return 1")}; finish`);
    expect([code, lines.at(-1)]).toEqual([1, "4 passed, 2 failed, 0 skipped"]);
    expect(lines).toContain("why again");
  });

  test.each([
    ["with many more", both(says("b", "c", "d", "e"), "true"), "4 passed, 4 failed, 0 skipped"],
    ["with a check", `${both(says("b"), "true")}; check lint false`, "4 passed, 2 failed, 0 skipped"],
  ])("%s is not asked again", async (_, script, last) => {
    const { code, lines } = await run(`${script}; finish`);
    expect([code, lines.at(-1)]).toEqual([1, last]);
  });
});

test("who ends the run ends its lanes, with all that they started", async () => {
  const child = start(`one() { sleep 600 & echo "$!"; wait; }; lane one one; finish`);
  const { value } = await child.stdout.getReader().read();
  const sleeper = Number(/^one: (\d+)$/m.exec(new TextDecoder().decode(value))?.[1]);
  process.kill(sleeper, 0);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(130);
  await until("the end of what a lane started", () => {
    try {
      process.kill(sleeper, 0);
      return false;
    } catch {
      return true;
    }
  });
});
