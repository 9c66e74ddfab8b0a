import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { canMakeNamespaces, makeNamespace } from "../../test/support/namespace.ts";
import { HostError } from "./host.ts";
import { linuxHost } from "./linux-host.ts";
import { parseMountInfo } from "./mountinfo.ts";

const host = linuxHost();

function codeOf(run: () => void): string {
  try {
    run();
    return "no error";
  } catch (error) {
    return error instanceof HostError ? error.code : `not a HostError: ${error}`;
  }
}

test("mountinfo: escapes, optional fields, propagation", () => {
  const text = [
    "36 35 98:0 /mnt1 /with\\040space rw,noatime master:1 - ext3 /dev/root rw",
    "37 35 0:5 / /shared rw shared:7 - tmpfs tmpfs rw,size=4k",
    "38 35 0:6 / /plain ro - proc proc rw",
    "",
  ].join("\n");
  expect(parseMountInfo(text)).toMatchObject([
    { id: 36, path: "/with space", root: "/mnt1", propagation: "slave", type: "ext3", source: "/dev/root" },
    { path: "/shared", propagation: "shared", type: "tmpfs" },
    { path: "/plain", propagation: "private", options: ["ro"] },
  ]);
});

test("statfs", async () => {
  const stats = await host.statfs("/");
  expect(stats.capacity_bytes).toBeGreaterThanOrEqual(stats.available_bytes);
  await expect(host.statfs("/no/such/path")).rejects.toThrow(HostError);
});

describe.skipIf(process.getuid?.() !== 0)("on the kernel", () => {
  let scratch: string;
  const at = (...parts: string[]) => join(scratch, ...parts);
  const directory = (...parts: string[]) => {
    mkdirSync(at(...parts), { recursive: true });
    return at(...parts);
  };

  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), "brt-host-"));
  });
  afterAll(() => {
    host.unmountTree(scratch, { lazy: true });
    rmSync(scratch, { recursive: true, force: true });
  });

  test("tmpfs with size and mode, taken off again", () => {
    const target = directory("memory");
    host.mountTmpfs(target, { size_bytes: 1024 * 1024, mode: 0o1777 });
    expect(host.isMountPoint(target)).toBe(true);
    expect(statSync(target).mode & 0o7777).toBe(0o1777);
    expect(() => writeFileSync(join(target, "big"), Buffer.alloc(2 * 1024 * 1024))).toThrow(/ENOSPC/);
    const [major = 0, minor = 0] = release().split(".").map(Number);
    if (major > 6 || (major === 6 && minor >= 4))
      expect(readFileSync("/proc/self/mounts", "utf8")).toMatch(
        new RegExp(`^tmpfs ${target} tmpfs .*\\bnoswap\\b`, "m"),
      );
    host.unmount(target);
    host.unmount(target);
    host.unmount(at("absent"));
    expect(host.isMountPoint(target)).toBe(false);
  });

  test("a mount below a link is known by the way that leads there, and taken off by it", () => {
    directory("disk");
    symlinkSync(at("disk"), at("way"));
    const target = directory("way", "folder", "memory");
    host.mountTmpfs(target, {});
    expect(host.isMountPoint(target)).toBe(true);
    host.unmountTree(at("way", "folder"));
    expect(host.isMountPoint(target)).toBe(false);
    expect(host.mounts().some(({ path }) => path.startsWith(at("disk")))).toBe(false);
  });

  test("bind mounts, read-only and shared", () => {
    const source = directory("source");
    writeFileSync(join(source, "file"), "content");
    const target = directory("bound");
    host.bindMount(source, target, { readOnly: true, propagation: "shared" });
    expect(readFileSync(join(target, "file"), "utf8")).toBe("content");
    expect(() => writeFileSync(join(target, "file"), "x")).toThrow(/EROFS/);
    expect(host.mounts().find(({ path }) => path === target)?.propagation).toBe("shared");
    host.unmount(target);
    expect(codeOf(() => host.bindMount(at("absent"), target))).toBe("ENOENT");
  });

  test("a shared directory of its own, made once; a whole tree comes off", () => {
    const root = directory("kubelet");
    host.makeShared(root);
    host.makeShared(root);
    const own = host.mounts().filter(({ path }) => path === root);
    expect(own.map(({ propagation }) => propagation)).toEqual(["shared"]);
    host.mountTmpfs(directory("kubelet", "a"), {});
    host.mountTmpfs(directory("kubelet", "a", "b"), {});
    host.unmountTree(root);
    expect(host.mounts().filter(({ path }) => path.startsWith(root))).toEqual([]);
  });

  test("a busy mount is said so, and comes off lazily", () => {
    const target = directory("busy");
    host.mountTmpfs(target, {});
    const child = Bun.spawn(["sleep", "1000"], { cwd: target });
    try {
      expect(codeOf(() => host.unmount(target))).toBe("EBUSY");
      host.unmount(target, { lazy: true });
      expect(host.isMountPoint(target)).toBe(false);
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("a subpath of a volume: directory, file, missing one made like the volume", () => {
    const volume = directory("volume");
    execFileSync("chown", ["1234:2345", volume]);
    execFileSync("chmod", ["2770", volume]);
    directory("volume", "dir");
    writeFileSync(at("volume", "dir", "file"), "content");
    host.bindSubPath({ volumePath: volume, subPath: "dir/file", target: at("targets", "file"), readOnly: true });
    expect(readFileSync(at("targets", "file"), "utf8")).toBe("content");
    expect(() => writeFileSync(at("targets", "file"), "x")).toThrow(/EROFS/);
    host.bindSubPath({ volumePath: volume, subPath: "new/deep", target: at("targets", "new"), createMode: "inherit" });
    expect(statSync(at("volume", "new", "deep"))).toMatchObject({ uid: 1234, gid: 2345 });
    expect(statSync(at("volume", "new", "deep")).mode & 0o7777).toBe(0o2770);
    writeFileSync(at("targets", "new", "seen"), "x");
    expect(readFileSync(at("volume", "new", "deep", "seen"), "utf8")).toBe("x");
    host.bindSubPath({ volumePath: volume, subPath: "new/mode", target: at("targets", "mode"), createMode: 0o751 });
    expect(statSync(at("volume", "new", "mode")).mode & 0o7777).toBe(0o751);
    expect(codeOf(() => host.bindSubPath({ volumePath: volume, subPath: "absent", target: at("targets", "no") }))).toBe(
      "ENOENT",
    );
    host.unmountTree(at("targets"));
  });

  test("a subpath cannot leave its volume", () => {
    const volume = directory("prison");
    directory("outside");
    writeFileSync(at("outside", "secret"), "secret");
    symlinkSync(at("outside"), at("prison", "absolute"));
    symlinkSync("../outside", at("prison", "relative"));
    directory("prison", "real");
    symlinkSync("real", at("prison", "inside"));
    const bind = (subPath: string, createMode?: number) => () =>
      host.bindSubPath({ volumePath: volume, subPath, target: at("escape"), createMode });
    for (const subPath of ["absolute", "absolute/secret", "relative", "relative/secret", "../outside", "a/../../x"]) {
      expect(["EXDEV", "ELOOP", "ENOENT"]).toContain(codeOf(bind(subPath)));
    }
    for (const subPath of ["absolute/made", "relative/made", "../made", "a/../../made"]) {
      expect(codeOf(bind(subPath, 0o755))).toBe("EXDEV");
    }
    expect(codeOf(bind("inside"))).toBe("no error");
    host.unmountTree(at("escape"));
  });

  test("a file is read within its volume, and nothing else", () => {
    const volume = directory("files");
    directory("files", "dir");
    writeFileSync(at("files", "dir", "file"), "content");
    symlinkSync("dir/file", at("files", "inside"));
    symlinkSync("/etc/hostname", at("files", "absolute"));
    symlinkSync("../../../../../../etc/hostname", at("files", "relative"));
    execFileSync("mkfifo", [at("files", "pipe")]);
    const read = (path: string) => () => host.readFileBeneath(volume, path, 7);
    expect(read("dir/file")().toString()).toBe("content");
    expect(read("inside")().toString()).toBe("content");
    for (const path of ["absolute", "relative", "../../etc/hostname"]) expect(codeOf(read(path))).toBe("EXDEV");
    for (const path of ["pipe", "dir"]) expect(codeOf(read(path))).toBe("EINVAL");
    expect(codeOf(read("absent"))).toBe("ENOENT");
    writeFileSync(at("files", "dir", "file"), "contents");
    expect(codeOf(read("inside"))).toBe("EFBIG");
  });

  test("mount(8): its words are handed on", async () => {
    const request = { type: "nosuchfs", source: "x", target: scratch, options: ["ro"], timeout_ms: 10_000 };
    await expect(host.mountFilesystem(request)).rejects.toThrow(/nosuchfs/);
  });

  test.skipIf(!canMakeNamespaces())(
    "a connection into another network, by IPv4 or IPv6, and back at home after",
    async () => {
      const namespace = makeNamespace();
      const echo = 'require("net").createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen(8080, "::1")';
      const server = Bun.spawn([...namespace.prefix, process.execPath, "-e", echo], { stdout: "ignore" });
      try {
        let duplex = await host.connectInNetworkNamespace(namespace.path, 8080, 60_000).catch(() => undefined);
        while (duplex === undefined) {
          await Bun.sleep(50);
          duplex = await host.connectInNetworkNamespace(namespace.path, 8080, 60_000).catch(() => undefined);
        }
        duplex.end("there and back");
        let answer = "";
        for await (const chunk of duplex) answer += chunk;
        expect(answer).toBe("there and back");
        const refused = await host
          .connectInNetworkNamespace(namespace.path, 9, 60_000)
          .catch((error: unknown) => error);
        expect(refused).toBeInstanceOf(HostError);
        expect((refused as HostError).code).toBe("ECONNREFUSED");
        const home = createServer().listen(0, "127.0.0.1");
        await new Promise((resolve) => home.once("listening", resolve));
        const address = home.address();
        const port = typeof address === "object" ? (address?.port ?? 0) : 0;
        const connection = await host.connectInNetworkNamespace("/proc/self/ns/net", port, 5000);
        connection.destroy();
        home.close();
      } finally {
        server.kill("SIGKILL");
        namespace.remove();
      }
    },
  );
});
