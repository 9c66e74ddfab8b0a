import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { freePort } from "#shared/testing/free-port.ts";
import { busyboxArchive, canRunDockerd, startDockerd, type TestDockerd } from "../../../test/support/dockerd.ts";
import { canRunRegistry, startRegistry, type TestRegistry } from "../../../test/support/registry.ts";
import { DockerImages } from "../docker-images.ts";
import { RegistryMirrors } from "./registry-mirrors.ts";

setDefaultTimeout(300_000);

describe.skipIf(!canRunDockerd() || !canRunRegistry())("pulls by mirrors", () => {
  const namespaceName = `brt-${randomBytes(4).toString("hex")}`;
  let dockerd: TestDockerd;
  let plain: TestRegistry;
  let secured: TestRegistry;
  let images: DockerImages;
  let mirrors: RegistryMirrors;
  let file: string;
  let writes = 0;

  /** Says something else in the file, and makes sure that it counts as changed. */
  const configure = (content: object): void => {
    writeFileSync(file, JSON.stringify(content));
    utimesSync(file, 1_700_000_000 + ++writes, 1_700_000_000 + writes);
  };
  const login = ({ username, password }: TestRegistry) => ({ auth: { username, password } });
  const messageOf = (outcome: Promise<unknown>): Promise<string> =>
    outcome.then(
      () => "no error",
      (error: Error) => error.message,
    );

  beforeAll(async () => {
    // The daemon must reach the proxy, which listens where this test runs.
    execFileSync("ip", ["netns", "attach", namespaceName, String(process.pid)]);
    dockerd = await startDockerd({ namespaceName });
    const [certificate, key] = [join(dockerd.directory, "tls.crt"), join(dockerd.directory, "tls.key")];
    const subject = ["-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"];
    const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    execFileSync("openssl", [...made, "-keyout", key, "-out", certificate, ...subject], { stdio: "ignore" });
    plain = await startRegistry(dockerd, await freePort());
    secured = await startRegistry(dockerd, await freePort(), { certificate, key });
    file = join(dockerd.directory, "registries.yaml");
    const warn = (): void => undefined;
    mirrors = new RegistryMirrors({ file, port: await freePort(), useRegistryItself: true, warn });
    images = new DockerImages(new Docker({ socketPath: dockerd.socketPath }), mirrors);
    const mirrored = `${plain.host}/copies/team/app:1`;
    await plain.push(busyboxArchive(mirrored, { User: "5" }), mirrored);
    const private_ = `${secured.host}/team/other:1`;
    await secured.push(busyboxArchive(private_, { User: "7" }), private_);
  });
  afterAll(async () => {
    await mirrors?.close();
    await plain?.stop();
    await secured?.stop();
    await dockerd?.stop();
    execFileSync("ip", ["netns", "delete", namespaceName]);
  });

  test("the next mirror serves when one is away, under the image's own names", async () => {
    const nobody = await freePort();
    configure({
      mirrors: {
        "images.example": {
          endpoint: [`http://127.0.0.1:${nobody}`, `http://${plain.host}`],
          rewrite: { "^team/(.*)": "copies/team/$1" },
        },
      },
      configs: { [plain.host]: login(plain) },
    });
    const id = await images.pull("images.example/team/app:1", undefined);
    const status = await images.status("images.example/team/app:1");
    expect(status).toMatchObject({ id, tags: ["images.example/team/app:1"] });
    const [digest = "", ...others] = status?.digests ?? [];
    expect(digest).toStartWith("images.example/team/app@sha256:");
    expect(others).toEqual([]);
    expect((await images.list()).find((image) => image.id === id)?.tags).toEqual(["images.example/team/app:1"]);

    await images.remove(id);
    expect(await images.status(id)).toBeUndefined();
    expect(await images.pull(digest, undefined)).toBe(id);
    expect((await images.status(digest))?.digests).toEqual([digest]);
    const container = await new Docker({ socketPath: dockerd.socketPath }).createContainer({
      Image: await images.daemonName(digest),
    });
    expect(await messageOf(images.remove(id))).not.toBe("no error");
    await container.remove();
    await images.remove(digest);
    expect(await images.status(digest)).toBeUndefined();
  });

  test("a mirror's certificate is checked against the CA that the file names", async () => {
    const endpoint = [`https://${secured.host}`];
    configure({ mirrors: { "*": { endpoint } }, configs: { [secured.host]: login(secured) } });
    expect(await messageOf(images.pull("other.invalid/team/other:1", undefined))).toContain(secured.host);
    const tls = { ca_file: join(dockerd.directory, "tls.crt") };
    configure({ mirrors: { "*": { endpoint } }, configs: { [secured.host]: { ...login(secured), tls } } });
    const id = await images.pull("other.invalid/team/other:1", undefined);
    expect(await images.status("other.invalid/team/other:1")).toMatchObject({ id, user: { uid: 7 } });
  });

  test("a pod's own credentials go to the registry that they are for, and a refusal is told as one", async () => {
    configure({ mirrors: { [plain.host]: {} }, configs: { [plain.host]: {} } });
    const image = `${plain.host}/copies/team/app:1`;
    const refused = images.pull(image, undefined);
    expect(await messageOf(refused)).toContain("unauthorized");
    await expect(refused).rejects.toMatchObject({ kind: "image-unauthorized" });
    await images.pull(image, { username: plain.username, password: plain.password });
    expect((await images.status(image))?.tags).toContain(image);
    const absent = images.pull(`${plain.host}/copies/team/absent:1`, login(plain).auth);
    await expect(absent).rejects.toMatchObject({ kind: "image-not-found" });
  });

  test("a file that is no good stops pulls and says where", async () => {
    writeFileSync(file, "mirrors:\n  docker.io:\n    endpoints: []\n");
    expect(await messageOf(images.pull("nginx:1", undefined))).toContain('unknown field "endpoints"');
  });
});
