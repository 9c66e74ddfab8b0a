import { expect, test } from "bun:test";
import { join } from "node:path";

/** In a network namespace of its own, whose addresses change meanwhile. */
function inNamespace(script: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync({
    cmd: ["unshare", "--net", process.execPath, "--eval", script],
    cwd: join(import.meta.dir, "../.."),
  });
  if (exitCode !== 0) throw new Error(stderr.toString());
  return stdout.toString();
}

const watching = `
  const { watchAddresses } = await import("./shared/board/address-watch.ts");
  const { silentLog } = await import("./shared/client/log.ts");
  const { networkInterfaces } = await import("node:os");
  const ip = (...words) => { if (Bun.spawnSync(["ip", ...words]).exitCode !== 0) throw new Error(words.join(" ")); };
  let told = Promise.withResolvers();
  const part = await watchAddresses(() => { told.resolve(); }, silentLog);
`;

test("an address that comes, and one in its place, are told when they are there", () => {
  const printed = inNamespace(`${watching}
    const untilTold = async (address) => {
      while (networkInterfaces().eth0?.[0].address !== address) { await told.promise; told = Promise.withResolvers(); }
      console.log(address);
    };
    ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
    ip("link", "set", "eth0", "up");
    ip("link", "set", "eth1", "up");
    ip("address", "add", "192.0.2.1/24", "dev", "eth0");
    await told.promise;
    await untilTold("192.0.2.1");
    ip("address", "del", "192.0.2.1/24", "dev", "eth0");
    ip("address", "add", "192.0.2.7/24", "dev", "eth0");
    told = Promise.withResolvers();
    await told.promise;
    await untilTold("192.0.2.7");
    await part.stop();
  `);
  expect(printed).toBe("192.0.2.1\n192.0.2.7\n");
});

test("keeps no process running, and ends", () => {
  expect(inNamespace(`${watching} await part.stop(); console.log("ended");`)).toBe("ended\n");
});
