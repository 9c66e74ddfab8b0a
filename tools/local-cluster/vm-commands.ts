import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { wholeNumberFlag } from "#shared/config/command.ts";
import { Vm } from "./vm.ts";

const root = resolve(import.meta.dir, "../..");

/** `tools/cluster vm …`: one emulated machine with systemd, to try install.sh on. */
export function vmCommand(folder: (name: string) => string, say: (line: string) => void): Command {
  const nameOption = new Option("--name <NAME>", "the guest's name, if there are several").default("vm");
  const vmOf = (name: string): Vm => new Vm(join(folder(name), "guest"));
  const vm = new Command("vm").description(
    "a Debian 13 with systemd in emulation; needs qemu-system-x86 and mmdebstrap",
  );
  vm.command("up")
    .description("boot a fresh guest and wait for its ssh; it sees this checkout as /mnt/checkout, read only")
    .addOption(nameOption)
    .addOption(wholeNumberFlag("--memory <MIB>", "the guest's memory", { fallback: 2048, min: 512 }))
    .addOption(wholeNumberFlag("--cpus <N>", "its processors", { fallback: 2, min: 1 }))
    .option("--bare", "without the packages that install.sh adds by apt; the guest then needs the internet")
    .action(async (options) => {
      const guest = vmOf(options.name);
      await guest.create(
        {
          memory_MiB: options.memory,
          cpus: options.cpus,
          bare: options.bare === true,
          hostname: "debian",
          shares: { checkout: root },
        },
        say,
      );
      say(`booting (console: ${guest.console})`);
      await guest.powerOn();
      say(`up; its port 6443 is 127.0.0.1:${guest.apiPort} here`);
    });
  vm.command("reboot")
    .description("reboot it in good order and wait until it is up again")
    .addOption(nameOption)
    .action(async (options) => vmOf(options.name).reboot());
  vm.command("ssh")
    .description("run a command in it as root: vm ssh -- systemctl status")
    .argument("<command...>")
    .addOption(nameOption)
    .action((command: string[], options) => {
      const stdio = ["inherit", "inherit", "inherit"] as ["inherit", "inherit", "inherit"];
      process.exitCode = Bun.spawnSync({ cmd: vmOf(options.name).inside(command), stdio }).exitCode ?? 1;
    });
  vm.command("copy")
    .description("copy files and folders into it: vm copy dist install.sh /root")
    .argument("<paths...>", "what to copy, and where to")
    .addOption(nameOption)
    .action((paths: string[], options) => vmOf(options.name).copy(paths.slice(0, -1), paths.at(-1) ?? "/root"));
  vm.command("down")
    .description("switch it off and remove it")
    .addOption(nameOption)
    .action(async (options) => vmOf(options.name).remove());
  return vm;
}
