import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { ImageFolder } from "#agent/kubelet/images/image-folder.ts";
import { defaultImageRules, ImageGarbage } from "#agent/kubelet/images/image-gc.ts";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import { type Log, silentLog } from "#shared/client/log.ts";
import { dockerBoard } from "../support/docker-board.ts";
import { busyboxArchive, canRunDockerd, startDockerd, type TestDockerd } from "../support/dockerd.ts";

setDefaultTimeout(300_000);

describe.skipIf(!canRunDockerd())("a folder of image archives", () => {
  let daemon: TestDockerd;
  let root: string;
  let runtime: ContainerRuntime;
  let loads = 0;
  let errors: string[] = [];
  const image = (name: string): string => `docker.io/bramble-test/${name}:1`;
  const log: Log = { ...silentLog, error: (message) => void errors.push(message), named: () => log };
  const read = async (): Promise<ImageFolder> => {
    const folder = new ImageFolder({
      folder: join(root, "images"),
      noteFile: join(root, "agent", "loaded-images.json"),
      runtime,
      log,
      signal: new AbortController().signal,
    });
    loads = 0;
    errors = [];
    await folder.load();
    return folder;
  };

  beforeAll(async () => {
    root = mkdtempSync("/var/tmp/bramble-image-folder-");
    await Bun.write(join(root, "images", "a.tar"), busyboxArchive(image("plain")));
    writeFileSync(join(root, "images", "b.tar.gz"), gzipSync(busyboxArchive(image("gzip"), { Env: ["A=1"] })));
    writeFileSync(join(root, "images", "c.tar.zst"), zstdCompressSync(busyboxArchive(image("zstd"), { Env: ["A=2"] })));
    writeFileSync(join(root, "images", "d.tar.gz"), gzipSync(busyboxArchive(image("half"))).subarray(0, 50_000));
    writeFileSync(join(root, "images", "README"), "not an archive");
    writeFileSync(join(root, "images", ".images-e.tar"), "half of one that was cut");
    daemon = await startDockerd();
    const docker = await dockerBoard(daemon);
    runtime = new Proxy(docker, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (key === "loadImage") loads++;
          return value.apply(target, args);
        };
      },
    });
  });
  afterAll(async () => {
    await daemon?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  test("is read whatever the compression; a broken archive keeps none of the others back", async () => {
    await read();
    for (const name of ["plain", "gzip", "zstd"]) expect(await runtime.imageStatus(image(name))).toBeDefined();
    expect(errors).toEqual(["an image archive cannot be read"]);
    rmSync(join(root, "images", "d.tar.gz"));
  });

  test("is read again only where an archive has changed or its image is gone", async () => {
    await read();
    expect(loads).toBe(0);
    utimesSync(join(root, "images", "a.tar"), new Date(), new Date(1_700_000_000_000));
    await read();
    expect(loads).toBe(1);
    await runtime.removeImage(image("gzip"));
    await read();
    expect(loads).toBe(1);
    expect(await runtime.imageStatus(image("gzip"))).toBeDefined();
  });

  test("its images stay when the disk is full, as long as the archives are there", async () => {
    rmSync(join(root, "images", "b.tar.gz"));
    const folder = await read();
    let now_ms = 0;
    const garbage = new ImageGarbage(
      runtime,
      silentLog,
      (names) => folder.keeps(names),
      defaultImageRules,
      () => now_ms,
    );
    garbage.observe(await runtime.listImages(), []);
    now_ms += 3_600_000;
    await garbage.collect({ capacity_bytes: 1e9, available_bytes: 0 });
    const present = (await runtime.listImages()).flatMap(({ tags }) => tags);
    expect(present.join()).toContain("bramble-test/plain:1");
    expect(present.join()).toContain("bramble-test/zstd:1");
    expect(present.join()).not.toContain("bramble-test/gzip:1");
  });
});
