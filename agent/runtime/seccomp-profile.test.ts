import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeError } from "./runtime.ts";
import { readSeccompProfile } from "./seccomp-profile.ts";

const folder = mkdtempSync(join(tmpdir(), "brt-seccomp-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a profile that cannot be read is told of in upstream's words", async () => {
  const faultOf = async (path: string): Promise<RuntimeError> => {
    const error: unknown = await readSeccompProfile(path).catch((error: unknown) => error);
    if (!(error instanceof RuntimeError)) throw new Error("it was read");
    return error;
  };
  const file = join(folder, "profile.json");
  writeFileSync(file, "{}");
  expect(await readSeccompProfile(file)).toBe("{}");
  const absent = join(folder, "absent.json");
  const { kind, message } = await faultOf(absent);
  expect(kind).toBe("cannot-start");
  expect(message).toBe(`cannot load seccomp profile "${absent}": open ${absent}: no such file or directory`);
  expect((await faultOf(folder)).message).toBe(
    `cannot load seccomp profile "${folder}": read ${folder}: is a directory`,
  );
  const below = join(file, "profile.json");
  expect((await faultOf(below)).message).toEndWith(`open ${below}: not a directory`);
});
