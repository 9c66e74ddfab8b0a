import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { canRunDockerd, startDockerd, type TestDockerd, testImage } from "../../test/support/dockerd.ts";
import { linuxHost } from "../host/linux-host.ts";
import { DockerImageVolumes } from "./docker-image-volumes.ts";

setDefaultTimeout(300_000);

describe.skipIf(!canRunDockerd())("files of images as volumes", () => {
  const pod = { uid: "uid-1", namespace: "default", name: "reader" };
  const host = linuxHost();
  let dockerd: TestDockerd;
  let docker: Docker;
  let volumes: DockerImageVolumes;

  /** What a container says that has the target at /volume, bound as it is. */
  async function inContainer(target: string, script: string): Promise<string> {
    const container = await docker.createContainer({
      Image: testImage,
      Entrypoint: ["sh", "-c", script],
      Tty: true,
      HostConfig: {
        NetworkMode: "none",
        Mounts: [
          {
            Type: "bind",
            Source: target,
            Target: "/volume",
            ReadOnly: false,
            BindOptions: { Propagation: "rprivate" },
          },
        ],
      },
    });
    await container.start();
    await container.wait();
    const said = String(await container.logs({ stdout: true, stderr: true, follow: false }));
    await container.remove();
    return said;
  }

  beforeAll(async () => {
    dockerd = await startDockerd();
    docker = new Docker({ socketPath: dockerd.socketPath });
    volumes = new DockerImageVolumes(docker, host);
    const script = "echo second layer >/words; rm /bin/vi; mkdir /data; echo inner >/data/file";
    const container = await docker.createContainer({ Image: testImage, Entrypoint: ["sh", "-c", script] });
    await container.start();
    await container.wait();
    await container.commit({ repo: "example.local/layers", tag: "1" });
    await container.remove();
  });
  afterAll(async () => {
    host.unmountTree(dockerd.directory, { lazy: true });
    await dockerd.stop();
  });

  test.each([
    ["one layer", testImage, "root:x:0:0", "bin/vi"],
    ["several layers", "example.local/layers:1", "root:x:0:0", undefined],
  ])("%s: read-only, nothing runs, and the image stays", async (name, image, passwd, present) => {
    const target = join(dockerd.directory, `target-${name.replace(" ", "-")}`);
    mkdirSync(target);
    await volumes.mount(image, target, pod);
    expect(readFileSync(join(target, "etc/passwd"), "utf8")).toStartWith(passwd);
    const said = await inContainer(
      target,
      "touch /volume/new 2>&1; /volume/bin/busybox true 2>&1; ls /volume/bin/vi 2>&1; cat /volume/words 2>&1",
    );
    expect(said).toContain("Read-only file system");
    expect(said).toContain("Permission denied");
    expect(said.includes("/volume/bin/vi\r\n")).toBe(present !== undefined);
    expect(said.includes("second layer")).toBe(present === undefined);
    await expect(docker.getImage(image).remove()).rejects.toThrow();
    host.unmount(target);
    await volumes.release("somebody-else");
    await expect(docker.getImage(image).remove()).rejects.toThrow();
    await volumes.release(pod.uid);
    expect(await docker.listContainers({ all: true })).toEqual([]);
  });

  test("an image that is not there is told", async () => {
    const target = join(dockerd.directory, "absent");
    mkdirSync(target);
    await expect(volumes.mount("example.local/absent:1", target, pod)).rejects.toMatchObject({ kind: "not-found" });
    expect(host.isMountPoint(target)).toBe(false);
  });
});
