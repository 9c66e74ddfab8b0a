import { expect, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import { anonymousAccess } from "./anonymous.ts";
import { parseAuthenticationConfiguration } from "./authentication-configuration.ts";

const file = (text = "") =>
  parseAuthenticationConfiguration(
    `apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n${text}`,
    "https://kubernetes.default.svc",
  );
const onlyHealth = file("anonymous: { enabled: true, conditions: [{ path: /livez }] }");
const usual = ["Node", "RBAC"];
const open = ["RBAC", "AlwaysAllow"];

const paths = ["/livez", "/api/v1/pods"];
for (const [what, settings, configured, allowed] of [
  ["by default", { anonymousAuth: true, authorizationMode: usual }, undefined, paths],
  ["with a file that says nothing of it", { anonymousAuth: true, authorizationMode: usual }, file(), paths],
  ["where the setting says no", { anonymousAuth: false, authorizationMode: usual }, undefined, []],
  ["where everybody may do everything", { anonymousAuth: true, authorizationMode: open }, undefined, []],
  ["where everybody may, and the file is silent", { anonymousAuth: true, authorizationMode: open }, file(), []],
  [
    "where everybody may, and the file names paths",
    { anonymousAuth: true, authorizationMode: open },
    onlyHealth,
    ["/livez"],
  ],
  [
    "where the file says no",
    { anonymousAuth: true, authorizationMode: usual },
    file("anonymous: { enabled: false }"),
    [],
  ],
] as const) {
  test(`requests without credentials ${what}: ${allowed.join(", ") || "none"}`, () => {
    const allows = anonymousAccess(
      { ...settings, authorizationMode: [...settings.authorizationMode] },
      configured,
      silentLog,
    );
    expect(paths.filter(allows)).toEqual([...allowed]);
  });
}
