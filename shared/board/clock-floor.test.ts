import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../client/log.ts";
import { createCertificateAuthority } from "../pki/certificate.ts";
import { liftClock, newestKnownTime_ms } from "./clock-floor.ts";

const folder = mkdtempSync(join(tmpdir(), "clock-floor-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (text: string): number => Date.parse(text);
/** A data folder with one file, written at that time. */
function dataDir(name: string, file: string, text: string, written: string): string {
  const path = join(folder, name, file);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  const time_s = at(written) / 1000;
  for (const each of [path, join(path, "..")]) utimesSync(each, time_s, time_s);
  return join(folder, name);
}
const built_ms = at("2030-01-01T00:00:00Z");

describe("the newest time that is known", () => {
  test("is the program's where nothing was written since", () => {
    expect(newestKnownTime_ms(join(folder, "none"), built_ms)).toBe(built_ms);
    expect(newestKnownTime_ms(dataDir("old", "pki/x", "", "2029-05-01T00:00:00Z"), built_ms)).toBe(built_ms);
  });

  test("is that of a file that was written later, but not of one from another decade", () => {
    const written = "2031-05-01T00:00:00Z";
    expect(newestKnownTime_ms(dataDir("new", "agent/identity/board.json", "{}", written), built_ms)).toBe(at(written));
    expect(newestKnownTime_ms(dataDir("mad", "store/store.db", "", "2055-01-01T00:00:00Z"), built_ms)).toBe(built_ms);
  });

  test("is the beginning of a certificate on a card whose files were written before the clock was set", async () => {
    const { certificatePem } = await createCertificateAuthority("ca");
    const dir = dataDir("unset", "agent/identity/ca.crt", certificatePem, "1970-01-01T00:01:00Z");
    for (const part of [dir, join(dir, "agent")]) utimesSync(part, 60, 60);
    // Certificates begin an hour before a clock that stands before the build, and no later than at the build.
    const began_ms = newestKnownTime_ms(dir, at("2020-01-01T00:00:00Z"));
    expect(began_ms).toBeGreaterThan(at("2020-01-01T00:00:00Z"));
    const damaged = dataDir("damaged", "agent/identity/ca.crt", "no certificate", "1970-01-01T00:01:00Z");
    for (const part of [damaged, join(damaged, "agent")]) utimesSync(part, 60, 60);
    expect(newestKnownTime_ms(damaged, built_ms)).toBe(built_ms);
  });
});

describe("a clock", () => {
  const written = "2031-05-01T00:00:00Z";
  const data = dataDir("lift", "pki/ca.key", "", written);
  const clock = (now: string) => ({
    time_ms: at(now),
    now_ms() {
      return this.time_ms;
    },
    set(time_ms: number) {
      this.time_ms = time_ms;
    },
  });

  test("that was not set is put forward, one that is right is left alone", () => {
    const unset = clock("1970-01-01T00:00:10Z");
    liftClock(data, silentLog, unset);
    expect(unset.time_ms).toBe(at(written));
    const right = clock("2033-01-01T00:00:00Z");
    liftClock(data, silentLog, right);
    expect(right.time_ms).toBe(at("2033-01-01T00:00:00Z"));
  });

  test("that may not be set is told, and the board goes on", () => {
    const told: string[] = [];
    const refused = {
      ...clock("1970-01-01T00:00:10Z"),
      set: () => {
        throw new Error("not permitted");
      },
    };
    liftClock(data, { ...silentLog, error: (message) => void told.push(message) }, refused);
    expect(told).toEqual(["the clock is wrong and cannot be set: certificates look as if of the future"]);
  });
});
