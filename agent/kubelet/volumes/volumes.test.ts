import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmod, link, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { type Payload, writePayload } from "./atomic-writer.ts";
import { hugePageSize, isVolatile, memorySize } from "./empty-dir.ts";
import { folderSize } from "./folder-size.ts";
import { prepareHostPath } from "./host-path.ts";
import { nestedMountPoints } from "./nested-mount-points.ts";
import { setGroupOwnership } from "./ownership.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "volumes-"));
});
afterEach(() => rm(folder, { recursive: true }));

const payload = (files: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));

test("files are shown through ..data, and replaced all at once", async () => {
  expect(await writePayload(folder, payload({ "a.txt": "1", "dir/b": "2" }))).toBe(true);
  expect(await readlink(join(folder, "a.txt"))).toBe("..data/a.txt");
  expect(await readlink(join(folder, "dir"))).toBe("..data/dir");
  expect(await readFile(join(folder, "dir/b"), "utf8")).toBe("2");
  const first = await readlink(join(folder, "..data"));

  expect(await writePayload(folder, payload({ "a.txt": "1", "dir/b": "2" }))).toBe(false);
  expect(await readlink(join(folder, "..data"))).toBe(first);

  expect(await writePayload(folder, payload({ "a.txt": "3" }))).toBe(true);
  expect(await readFile(join(folder, "a.txt"), "utf8")).toBe("3");
  expect((await readdir(folder)).sort()).toEqual([await readlink(join(folder, "..data")), "..data", "a.txt"].sort());
});

test("modes do not depend on the umask", async () => {
  await writePayload(folder, payload({ a: "1" }, 0o666));
  expect((await stat(join(folder, "a"))).mode & 0o777).toBe(0o666);
});

test("paths out of the volume are refused, and a failure changes nothing", async () => {
  await writePayload(folder, payload({ a: "1" }));
  for (const path of ["/etc/passwd", "../x", "a/../../x", "..hidden", ""]) {
    await expect(writePayload(folder, payload({ [path]: "" }))).rejects.toThrow("invalid path");
  }
  const fail = async (): Promise<void> => {
    throw new Error("no");
  };
  await expect(writePayload(folder, payload({ a: "2" }), fail)).rejects.toThrow("no");
  expect(await readFile(join(folder, "a"), "utf8")).toBe("1");
});

test.skipIf(process.getuid?.() !== 0)("a volume is given to its group", async () => {
  await mkdir(join(folder, "sub"));
  await writeFile(join(folder, "sub/file"), "");
  await chmod(join(folder, "sub/file"), 0o600);
  await setGroupOwnership(folder, { fsGroup: 4321, readOnly: false, onlyOnRootMismatch: false });
  const file = await lstat(join(folder, "sub/file"));
  expect([file.gid, file.mode & 0o7777]).toEqual([4321, 0o660]);
  expect((await lstat(join(folder, "sub"))).mode & 0o2070).toBe(0o2070);

  await chmod(join(folder, "sub/file"), 0o600);
  await setGroupOwnership(folder, { fsGroup: 4321, readOnly: false, onlyOnRootMismatch: true });
  expect((await lstat(join(folder, "sub/file"))).mode & 0o777).toBe(0o600);
});

test("host paths are made or checked by type", async () => {
  const path = join(folder, "new");
  expect(await prepareHostPath({ path, type: "DirectoryOrCreate" })).toBe(path);
  await expect(prepareHostPath({ path, type: "File" })).rejects.toThrow(`${path} is not a file`);
  await prepareHostPath({ path: join(path, "f"), type: "FileOrCreate" });
  await expect(prepareHostPath({ path: join(path, "f"), type: "Directory" })).rejects.toThrow("is not a directory");
  await expect(prepareHostPath({ path: join(folder, "absent"), type: "Socket" })).rejects.toThrow("not a socket file");
  const orphan = join(folder, "absent", "file");
  await expect(prepareHostPath({ path: orphan, type: "FileOrCreate" })).rejects.toThrow(
    `open ${orphan}: no such file or directory`,
  );
});

test("mount points of other volumes in a volume, of any container, but none below those", () => {
  const mounts = (...paths: [name: string, mountPath: string][]) => ({
    name: paths.map(([name]) => name).join("-"),
    volumeMounts: paths.map(([name, mountPath]) => ({ name, mountPath })),
  });
  const spec = {
    initContainers: [mounts(["files", "/etc/files/"], ["other", "/etc/files/sub"], ["files", "/etc/files/sub/deeper"])],
    containers: [mounts(["files", "/a"], ["other", "/a/./b/c"], ["third", "/a-b"], ["third", "/a/b.d"])],
  };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "pod" }, spec } as unknown as Pod;
  expect(nestedMountPoints(pod, "files")).toEqual(["b.d", "b/c", "sub"]);
  expect(nestedMountPoints(pod, "other")).toEqual(["deeper"]);
  expect(nestedMountPoints(pod, "third")).toEqual([]);
});

test("a folder's size counts a file with two names once, and what is absent as nothing", async () => {
  await mkdir(join(folder, "deep"));
  const empty_bytes = await folderSize(folder);
  await writeFile(join(folder, "deep/file"), Buffer.alloc(1 << 20, 1));
  await link(join(folder, "deep/file"), join(folder, "same"));
  const grown_bytes = (await folderSize(folder)) - empty_bytes;
  expect(grown_bytes).toBeGreaterThanOrEqual(1 << 20);
  expect(grown_bytes).toBeLessThan(2 << 20);
  expect(await folderSize(join(folder, "absent"))).toBe(0);
});

function asking(list: Record<string, string>, spec: Partial<Pod["spec"]> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "n" },
    spec: { containers: [{ name: "c", resources: { limits: list } }], ...spec },
  };
}

test("the pages of a huge page volume are those that the pod or its containers ask for", () => {
  const both = { "hugepages-2Mi": "64Mi", "hugepages-1Gi": "1Gi" };
  expect(hugePageSize("HugePages", asking({ "hugepages-2Mi": "64Mi" }))).toBe("2M");
  expect(hugePageSize("HugePages-1Gi", asking(both))).toBe("1G");
  expect(hugePageSize("HugePages", asking({}, { resources: { requests: { "hugepages-2Mi": "64Mi" } } }))).toBe("2M");
  expect(() => hugePageSize("HugePages", asking(both))).toThrow("can't be used if container requests multiple");
  expect(() => hugePageSize("HugePages-1Gi", asking({ "hugepages-2Mi": "64Mi" }))).toThrow(
    "there is no resource request",
  );
  expect(() => hugePageSize("HugePages", asking({}))).toThrow("there is no resource request");
});

test("media of an empty directory", () => {
  const media = ["", "Memory", "HugePages", "HugePages-2Mi"];
  expect(media.map((medium) => isVolatile({ medium }))).toEqual([false, true, true, true]);
  expect(() => isVolatile({ medium: "HugePages2" })).toThrow('unknown storage medium "HugePages2"');
});

test("a volume in memory is no larger than its pod", () => {
  const MiB = 2 ** 20;
  const size = (pod: Pod, sizeLimit?: string): number =>
    memorySize({ medium: "Memory", sizeLimit }, { pod, podIPs: [], hostIPs: [], allocatable: { memory: "512Mi" } });
  expect(size(asking({}))).toBe(512 * MiB);
  expect(size(asking({ memory: "64Mi" }))).toBe(64 * MiB);
  expect(size(asking({ memory: "64Mi" }), "16Mi")).toBe(16 * MiB);
  // The pod's own limit counts where its containers have none.
  expect(size(asking({}, { resources: { limits: { memory: "32Mi" } } }))).toBe(32 * MiB);
});
