import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boardSerial } from "./board-serial.ts";

const folder = await mkdtemp(join(tmpdir(), "board-serial-"));
afterAll(() => rm(folder, { recursive: true }));

describe("boardSerial", () => {
  test("takes the firmware's serial", async () => {
    const file = join(folder, "serial-number");
    await writeFile(file, "10000000ABCD4F2A\0");
    expect(await boardSerial(folder, [join(folder, "none"), file])).toBe("10000000abcd4f2a");
  });

  test("passes over what blank hardware says, and keeps an identity of its own", async () => {
    const file = join(folder, "uuid");
    await writeFile(file, "00000000-0000-0000-0000-000000000000\n");
    const made = await boardSerial(folder, [file]);
    expect(made).toMatch(/^[0-9a-f]{32}$/);
    expect(await boardSerial(folder, [file])).toBe(made);
  });
});
