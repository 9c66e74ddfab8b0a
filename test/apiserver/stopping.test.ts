import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";

setDefaultTimeout(300_000);

// An idle connection is closed after 180 s: a timer that is left over would show by that.
const end_ms = 150_000;

test("a server that has stopped holds its process by nothing, though clients broke their connections", async () => {
  const child = Bun.spawn({
    cmd: [process.execPath, join(import.meta.dir, "stopping-server.ts")],
    stdout: "pipe",
    stderr: "inherit",
  });
  const late = setTimeout(() => child.kill("SIGKILL"), end_ms);
  const output = await new Response(child.stdout).text();
  const code = await child.exited;
  clearTimeout(late);
  expect(output).toContain("stopped");
  expect(code).toBe(0);
});
