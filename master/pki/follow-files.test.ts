import { test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { until } from "#shared/testing/until.ts";
import { followFiles } from "./follow-files.ts";

test("files are looked at again when they are written, or others take their places", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-follow-"));
  const [cert, key] = [join(folder, "a.crt"), join(folder, "a.key")];
  let looks = 0;
  const end = followFiles([cert, key], () => void looks++, silentLog);
  try {
    writeFileSync(cert, "1");
    writeFileSync(key, "1");
    await until("a look", () => looks > 0);
    const before = looks;
    writeFileSync(join(folder, "next"), "2");
    renameSync(join(folder, "next"), cert);
    await until("another look", () => looks > before);
  } finally {
    end();
    rmSync(folder, { recursive: true, force: true });
  }
});
