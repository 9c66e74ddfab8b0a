import { installAndUninstall } from "./install-and-uninstall.ts";

installAndUninstall("bookworm");
