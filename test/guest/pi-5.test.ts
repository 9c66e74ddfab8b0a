import { installAndUninstall } from "./install-and-uninstall.ts";

// What Bun's engine, Docker and the program's own system calls take for granted of pages shows on such a kernel alone.
installAndUninstall("trixie", "pi-5");
