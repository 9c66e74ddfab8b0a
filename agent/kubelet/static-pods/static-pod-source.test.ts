import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import { until } from "#shared/testing/until.ts";
import { StaticPodSource } from "./static-pod-source.ts";

const recheck_ms = 20_000;
const manifest = (name: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { containers: [{ name: "main", image: "web:1" }] },
  });

describe("a folder of manifests", () => {
  let directory: string;
  let folder: string;
  let clock: ManualClock;
  let source: StaticPodSource;
  let told: string[];
  let noted: ReturnType<typeof notedLog>;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "manifests-"));
    folder = join(directory, "manifests");
    clock = new ManualClock();
    told = [];
    noted = notedLog();
    const tell = (what: string) => (pod: { metadata: { name?: string | undefined } }) =>
      void told.push(`${what} ${pod.metadata.name}`);
    source = new StaticPodSource(folder, "board", { add: tell("add"), remove: tell("remove") }, noted.log, clock);
    mkdirSync(join(directory, "real"));
    // No file leads nowhere more surely than a link to itself.
    symlinkSync("ring", join(directory, "ring"));
    point(folder, "real");
    put("web.json", manifest("web"));
    await source.start();
  });
  afterEach(async () => {
    await source.stop();
    rmSync(directory, { recursive: true });
  });

  /** Both at once: a look may be under way. */
  const point = (link: string, target: string): void => {
    symlinkSync(join(directory, target), join(directory, "next"));
    renameSync(join(directory, "next"), link);
  };
  const put = (name: string, text: string): void => {
    writeFileSync(join(directory, "next"), text);
    renameSync(join(directory, "next"), join(folder, name));
  };
  const lookUntil = (what: string, holds: () => boolean): Promise<unknown> =>
    until(what, async () => {
      await clock.advance(recheck_ms);
      return holds();
    });

  test("is read before the start is over", () => {
    expect(told).toEqual(["add web-board"]);
  });

  test("is followed after it has been made anew, of which no watch tells", async () => {
    rmSync(folder);
    await lookUntil("the pod is taken away", () => told.includes("remove web-board"));
    mkdirSync(folder);
    put("other.json", manifest("other"));
    await lookUntil("the other is taken", () => told.includes("add other-board"));
    expect(told).toEqual(["add web-board", "remove web-board", "add other-board"]);
  });

  test("ends no pod while it cannot be read, and says so", async () => {
    point(folder, "ring");
    await lookUntil("it is said", () => noted.lines.length > 0);
    for (let look = 0; look < 3; look++) await clock.advance(recheck_ms);
    point(folder, "real");
    put("other.json", manifest("other"));
    await lookUntil("it is read again", () => told.includes("add other-board"));
    expect(told).toEqual(["add web-board", "add other-board"]);
    // Twice where a look was under way: the folder itself was there still, and its file could not be read.
    expect([...new Set(noted.lines)]).toEqual([
      "warn manifests cannot be read: what runs of them goes on",
      "info manifests can be read again",
    ]);
  });

  test("ends no pod whose own file cannot be read, and goes on with the others", async () => {
    const path = join(folder, "web.json");
    point(path, "ring");
    put("other.json", manifest("other"));
    await lookUntil("the other is taken", () => told.includes("add other-board"));
    expect(told).toEqual(["add web-board", "add other-board"]);
    rmSync(path);
    await lookUntil("the file is gone", () => told.includes("remove web-board"));
  });

  test("has a file that holds no pod left out, which is told once", async () => {
    put("bad.json", "{}");
    put("other.json", manifest("other"));
    await lookUntil("the other is taken", () => told.includes("add other-board"));
    for (let look = 0; look < 3; look++) await clock.advance(recheck_ms);
    expect(noted.lines).toEqual(["warn a manifest is left out"]);
  });
});
