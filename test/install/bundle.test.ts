import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createLan, removeLan } from "#tools/local-cluster/lan.ts";
import { buildProgram } from "#tools/program.ts";
import { busyboxArchive } from "../support/dockerd.ts";
import { InstallBoard, takeLan } from "./install-board.ts";
import { expectSuccess, host, makeRelease, ownVersion, removeReleases } from "./release.ts";

/** A bundle with images: a master from its folder, a worker from that master, and no registry anywhere. */
setDefaultTimeout(900_000);
const lan = await takeLan("bun");
const other = host === "arm64" ? "x64" : "arm64";
const archives = {
  "web.tar.gz": "docker.io/bramble-test/web:1",
  [`${host}-own.tar`]: "docker.io/bramble-test/own:1",
  [`${other}-other.tar`]: "docker.io/bramble-test/other:1",
};
let folder = "";
let bundle = "";
let master: InstallBoard;
let worker: InstallBoard;

beforeAll(async () => {
  // tools/bundle.sh packs the dist/ beside it.
  folder = mkdtempSync("/var/tmp/bramble-bundle-");
  cpSync(makeRelease(), join(folder, "dist"), { recursive: true });
  cpSync(join(import.meta.dir, "../../tools/bundle.sh"), join(folder, "tools/bundle.sh"));
  const files = Object.entries(archives).map(([name, image]) => {
    const archive = busyboxArchive(image, { Env: [`IMAGE=${image}`] });
    writeFileSync(join(folder, name), name.endsWith(".gz") ? gzipSync(archive) : archive);
    return join(folder, name);
  });
  execFileSync(join(folder, "tools/bundle.sh"), [join(folder, "bundle.tar"), ...files]);
  execFileSync("tar", ["-C", folder, "-xf", join(folder, "bundle.tar")]);
  bundle = join(folder, "bramble-bundle");
  createLan(lan);
  master = await InstallBoard.start(lan, "box-1", `${lan.prefix}.11`);
  worker = await InstallBoard.start(lan, "box-2", `${lan.prefix}.12`);
});

afterAll(() => {
  master?.stop();
  worker?.stop();
  removeLan(lan);
  removeReleases();
  rmSync(folder, { recursive: true, force: true });
});

const images = "until docker image inspect bramble-test/web:1 bramble-test/own:1 >/dev/null 2>&1; do sleep 0.3; done";
const sumOf = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

test("a master has its images, and keeps those of the other processor for boards that join", async () => {
  expectSuccess(await master.run(`${bundle}/install.sh`, { INSTALL_BRAMBLE_JOURNAL: "64M" }));
  expectSuccess(await master.run(`timeout 300 sh -c '${images}'`));
  expect((await master.run("docker image inspect bramble-test/other:1")).code).toBe(1);
  expect(
    expectSuccess(await master.run("ls /var/lib/bramble/images"))
      .split("\n")
      .filter(Boolean),
  ).toEqual([`images-${host}-own.tar`, "images-web.tar.gz"].sort());
  const got = expectSuccess(await master.run(`cat /usr/local/share/bramble/images-${other}-other.tar | sha256sum`));
  expect(got).toContain(sumOf(join(folder, `${other}-other.tar`)));
  expect(expectSuccess(await master.run(`${bundle}/install.sh`))).not.toContain("fetching");
});

test("a worker gets those for it from the master", async () => {
  const line = expectSuccess(await master.run("bramble token create --print-join")).trim();
  expect(expectSuccess(await worker.run(line.replace("| sudo ", "| env ")))).toContain("fetching images-web.tar.gz");
  expectSuccess(await worker.run(`timeout 300 sh -c '${images}'`));
  expect((await worker.run(`ls /var/lib/bramble/images/images-${other}-other.tar`)).code).not.toBe(0);
});

test("an image that was changed on its way is refused", async () => {
  expectSuccess(await master.run(`echo x >${bundle}/images-web.tar.gz; rm /var/lib/bramble/images/images-web.tar.gz`));
  const { code, output } = await master.run(`${bundle}/install.sh`);
  expect(code).toBe(1);
  expect(output).toContain("images-web.tar.gz does not match images.sha256");
});

describe("a signed bundle", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  let release = "";
  const pack = (name: string): string => {
    const place = join(folder, name);
    cpSync(release, join(place, "dist"), { recursive: true });
    cpSync(join(import.meta.dir, "../../tools/bundle.sh"), join(place, "tools/bundle.sh"));
    const key = join(place, "key.pem");
    writeFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }));
    const env = { ...process.env, BRAMBLE_SIGNING_KEY: key };
    const words = ["--arch", host, join(place, "bundle.tar"), join(folder, "web.tar.gz")];
    execFileSync(join(place, "tools/bundle.sh"), words, { env });
    execFileSync("tar", ["-C", place, "-xf", join(place, "bundle.tar")]);
    return join(place, "bramble-bundle");
  };

  beforeAll(async () => {
    const program = join(folder, "signed-program");
    const releaseKey = publicKey.export({ type: "spki", format: "pem" }).toString();
    await buildProgram(host, program, { version: ownVersion(), releaseKey, builtAt_ms: Date.now() });
    release = makeRelease(readFileSync(program));
    const sums = readFileSync(join(release, "SHA256SUMS"));
    writeFileSync(join(release, "SHA256SUMS.sig"), sign(undefined, sums, privateKey).toString("base64"));
  });

  test("is installed, and hands out its signatures", async () => {
    expectSuccess(await master.run(`${pack("first")}/install.sh`));
    expectSuccess(await master.run("cd /usr/local/share/bramble && ls SHA256SUMS.sig images.sha256.sig"));
    expect(expectSuccess(await master.run(`${join(folder, "first/bramble-bundle")}/install.sh`))).toContain(
      "nothing has changed",
    );
  });

  test("keeps out what the same key has not signed: another release, or other images", async () => {
    const unsigned = await master.run(`${makeRelease()}/install.sh`);
    expect([unsigned.code, unsigned.output]).toEqual([1, expect.stringContaining("has no SHA256SUMS.sig")]);
    const other = pack("second");
    writeFileSync(join(other, "images-extra.tar"), "x");
    writeFileSync(join(other, "images.sha256"), `${sumOf(join(other, "images-extra.tar"))}  images-extra.tar\n`);
    const images = await master.run(`${other}/install.sh`);
    expect([images.code, images.output]).toEqual([1, expect.stringContaining("the signature of images.sha256 is not")]);
    expect((await master.run("ls /var/lib/bramble/images/images-extra.tar")).code).not.toBe(0);
    const wished = await master.run(`${other}/install.sh`, { INSTALL_BRAMBLE_SKIP_SIGNATURE: "1" });
    expect(expectSuccess(wished)).toContain("going on with it all the same");
  });
});

test("an exec leaves no trace in /tmp, which may be on the card, with the Docker that Bramble's supervisor runs", async () => {
  expectSuccess(await master.run("docker run --detach --name probed --network none bramble-test/web:1 sleep 600"));
  const tmp = "stat --format=%z /tmp";
  const before = expectSuccess(await master.run(tmp));
  expectSuccess(await master.run("docker exec probed true"));
  expect(expectSuccess(await master.run(tmp))).toBe(before);
  expectSuccess(await master.run("docker rm --force probed"));
  const wrong = await master.run(`${bundle}/install.sh`, { INSTALL_BRAMBLE_PROBE_FILES: "card" });
  expect([wrong.code, wrong.output]).toEqual([1, expect.stringContaining("expected memory or none")]);
});

test("the system's journal is bounded, and its clock noted rarely, where that is asked for, until Bramble goes", async () => {
  const file = "/etc/systemd/journald.conf.d/50-bramble.conf";
  expect(expectSuccess(await master.run(`cat ${file}`))).toContain("[Journal]\nSystemMaxUse=64M\nRuntimeMaxUse=32M\n");
  expect((await worker.run(`cat ${file}`)).code).toBe(1);
  const install = `${bundle}/install.sh`;
  const wrong = await worker.run(install, { INSTALL_BRAMBLE_JOURNAL: "a lot" });
  expect([wrong.code, wrong.output]).toEqual([1, expect.stringContaining("expected volatile, none or a size")]);
  for (const value of ["often", "60", "h", "1d"]) {
    const clock = await worker.run(install, { INSTALL_BRAMBLE_CLOCK_SAVE: value });
    expect([clock.code, clock.output]).toEqual([1, expect.stringContaining("expected a time such as 1h or 30min")]);
  }
  const clockFile = "/etc/systemd/timesyncd.conf.d/50-bramble.conf";
  expectSuccess(await worker.run(install, { INSTALL_BRAMBLE_JOURNAL: "volatile", INSTALL_BRAMBLE_CLOCK_SAVE: "1h" }));
  expect(expectSuccess(await worker.run(`cat ${file}`))).toContain("[Journal]\nStorage=volatile\n");
  expect(expectSuccess(await worker.run(`cat ${clockFile}`))).toContain("[Time]\nSaveIntervalSec=1h\n");
  expectSuccess(await worker.run(install, { INSTALL_BRAMBLE_JOURNAL: "none", INSTALL_BRAMBLE_CLOCK_SAVE: "none" }));
  expect((await worker.run(`ls ${file}`)).code).not.toBe(0);
  expect((await worker.run(`ls ${clockFile}`)).code).not.toBe(0);
  expectSuccess(await master.run("bramble-uninstall.sh"));
  const left = await master.run(`ls -d ${file} /var/lib/bramble/images /usr/local/share/bramble 2>/dev/null | wc -l`);
  expect(left.output.trim()).toBe("0");
});
