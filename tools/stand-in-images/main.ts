import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { scratchImageArchive } from "#agent/runtime/scratch-image.ts";
import { standInImages, thisMachine } from "./images.ts";

const program = new Command("tools/images")
  .description(
    "Makes small stand-ins under the names of the public images that examples/ uses, for machines that reach no registry.",
  )
  .option("-H, --host <SOCKET>", "load them into the Docker at this socket", "unix:///var/run/docker.sock")
  .option("-o, --output <FOLDER>", "write archives for `docker load` there instead")
  .option("--architecture <NAME>", "the processor they are for, amd64 or arm64", thisMachine.architecture)
  .option("--busybox <FILE>", "busybox-static for that processor", thisMachine.busybox)
  .action(async (options: { host: string; output?: string; architecture: string; busybox: string }) => {
    for (const image of standInImages(options)) {
      const archive = scratchImageArchive(image);
      if (options.output === undefined) await load(options.host.replace(/^unix:\/\//, ""), archive);
      else {
        mkdirSync(options.output, { recursive: true });
        const file = join(options.output, `${image.reference.replaceAll(/[/:]/g, "_")}.tar`);
        writeFileSync(file, archive);
        console.log(file);
      }
    }
  });

await program.parseAsync().catch((error: Error) => {
  console.error(`images: ${error.message}`);
  process.exit(1);
});

async function load(socket: string, archive: Uint8Array<ArrayBuffer>): Promise<void> {
  const answer = await fetch("http://docker/images/load", {
    method: "POST",
    unix: socket,
    headers: { "content-type": "application/x-tar" },
    body: archive,
  });
  const lines = (await answer.text()).trim().split("\n");
  // The engine answers 200 before it has read all; a failure is a line of its own.
  const fault = lines.find((line) => line.includes('"error"'));
  if (!answer.ok || fault !== undefined) throw new Error(`Docker at ${socket} says: ${fault ?? lines.join(" ")}`);
  for (const line of lines) console.log(((JSON.parse(line) as { stream?: string }).stream ?? line).trim());
}
