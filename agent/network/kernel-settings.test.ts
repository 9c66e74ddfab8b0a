import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMakeNamespaces, makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";

const conf = "/proc/sys/net";

describe.skipIf(!canMakeNamespaces())("settings of a kernel", () => {
  let board: TestNamespace;
  let folder: string;
  beforeAll(() => {
    board = makeNamespace();
    folder = mkdtempSync(join(tmpdir(), "bramble-kernel-"));
  });
  afterAll(() => {
    board.remove();
    rmSync(folder, { recursive: true });
  });

  test("are noted as they were before, each once", () => {
    board.run("sh", "-c", `echo 0 >${conf}/ipv4/ip_forward; echo 0 >${conf}/ipv6/conf/all/forwarding`);
    const found = join(folder, "run", "kernel-settings");
    const script = `
      const { prepareKernel } = await import(${JSON.stringify(join(import.meta.dir, "kernel-settings.ts"))});
      for (const _ of "12") await prepareKernel({ v6: true }, async () => "", ${JSON.stringify(found)});`;
    board.run(process.execPath, "-e", script);
    expect(board.run("cat", `${conf}/ipv4/ip_forward`, `${conf}/ipv6/conf/all/forwarding`)).toBe("1\n1\n");
    expect(existsSync(found)).toBe(true);
    const lines = readFileSync(found, "utf8").trim().split("\n");
    expect(lines[0]).toBe(`${conf}/ipv4/ip_forward 0`);
    expect(lines.at(-1)).toBe(`${conf}/ipv6/conf/all/forwarding 0`);
    expect(lines.slice(1, -1).filter((line) => !/\/accept_ra 1$|\/bridge-nf-call-ip6?tables 0$/.test(line))).toEqual(
      [],
    );
    expect(new Set(lines).size).toBe(lines.length);
  });
});
