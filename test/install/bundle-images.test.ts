import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxArchive, canRunDockerd, startDockerd, type TestDockerd } from "../support/dockerd.ts";
import { canRunRegistry, startRegistry, type TestRegistry } from "../support/registry.ts";

setDefaultTimeout(300_000);

/** tools/bundle.sh on a connected machine: images that it pulls, for one kind of board. */
describe.skipIf(!canRunDockerd() || !canRunRegistry())("a bundle with images that are pulled for it", () => {
  let dockerd: TestDockerd;
  let registry: TestRegistry;
  let folder = "";
  let image = "";

  beforeAll(async () => {
    dockerd = await startDockerd();
    registry = await startRegistry(dockerd);
    folder = join(dockerd.directory, "checkout");
    for (const part of ["dist", "tools", "docker"]) mkdirSync(join(folder, part), { recursive: true });
    cpSync(join(import.meta.dir, "../../tools/bundle.sh"), join(folder, "tools/bundle.sh"));
    // Stands for a release: nothing of it runs.
    const files = { "bramble-linux-x64": "x64\n", "bramble-linux-arm64": "arm64\n", VERSION: "1\n" };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, "dist", name), text);
    const sums = Object.entries(files).map(
      ([name, text]) => `${createHash("sha256").update(text).digest("hex")}  ${name}\n`,
    );
    writeFileSync(join(folder, "dist/SHA256SUMS"), sums.join(""));
    const auth = Buffer.from(`${registry.username}:${registry.password}`).toString("base64");
    writeFileSync(join(folder, "docker/config.json"), JSON.stringify({ auths: { [registry.host]: { auth } } }));
    image = `${registry.host}/team/web:1`;
    await registry.push(busyboxArchive(image, { Env: ["A=b"] }), image);
  });
  afterAll(async () => {
    await registry?.stop();
    await dockerd?.stop();
  });

  function bundle(...words: string[]): { readonly code: number; readonly said: string } {
    const { exitCode, stderr } = Bun.spawnSync({
      cmd: [join(folder, "tools/bundle.sh"), ...words],
      env: { ...process.env, DOCKER_HOST: `unix://${dockerd.socketPath}`, DOCKER_CONFIG: join(folder, "docker") },
    });
    return { code: exitCode, said: stderr.toString() };
  }
  const tar = (...words: string[]): string => Bun.spawnSync(["tar", ...words]).stdout.toString();

  test("has them, the release for that processor alone, and its list", () => {
    const out = join(folder, "bundle.tar");
    expect(bundle("--arch", "x64", "--image", image, out)).toEqual({ code: 0, said: "" });
    const archive = `images-x64-${image.replace(/[:/]/g, "-")}.tar.gz`;
    const names = tar("-tf", out)
      .split("\n")
      .map((name) => name.replace("bramble-bundle/", ""))
      .filter(Boolean)
      .sort();
    expect(names).toEqual(["SHA256SUMS", "VERSION", "bramble-linux-x64", "images.sha256", archive].sort());
    tar("-C", folder, "-xf", out);
    const inside = join(folder, "bramble-bundle");
    const sum = createHash("sha256").update(readFileSync(join(inside, archive)));
    expect(readFileSync(join(inside, "images.sha256"), "utf8")).toBe(`${sum.digest("hex")}  ${archive}\n`);
    expect(tar("-xzOf", join(inside, archive), "manifest.json")).toContain(`"RepoTags":["${image}"]`);
  });

  test("is not made where there is no such image for the boards, or the release is signed by a key that is not there", () => {
    const other = bundle("--arch", "arm64", "--image", image, join(folder, "none.tar"));
    expect(other.code).toBe(1);
    expect(other.said).toMatch(/cannot be pulled for linux\/arm64|there is none for linux\/arm64/);
    writeFileSync(join(folder, "dist/SHA256SUMS.sig"), "x\n");
    expect(bundle(join(folder, "none.tar"))).toMatchObject({
      code: 1,
      said: expect.stringContaining("set BRAMBLE_SIGNING_KEY"),
    });
  });
});
