/** What somebody pasted or opened to sign in. It is read here, in the browser: nothing but the token is sent. */
import { parse } from "yaml";

export type Credential =
  | { readonly kind: "token"; readonly token: string }
  /** It holds something that a page cannot sign in with; `why` says what to do. */
  | { readonly kind: "unusable"; readonly why: string };

const tokenPattern = /^[\w-]+\.[\w-]+\.[\w-]+$|^[a-z0-9]{6}\.[a-z0-9]{16}$/;

/** Reads a token, a kubeconfig (the user of its current context), or what a credential plug-in printed. */
export function readCredential(text: string): Credential {
  const trimmed = text.trim().replace(/^Bearer\s+/i, "");
  if (trimmed === "") return unusable("Paste a token or a kubeconfig first.");
  if (tokenPattern.test(trimmed)) return { kind: "token", token: trimmed };
  let config: Fields;
  try {
    config = fieldsOf(parse(trimmed));
  } catch (error) {
    return unusable(`This cannot be read as a kubeconfig: ${(error as Error).message.split("\n")[0]}`);
  }
  const printed = fieldsOf(config["status"])["token"];
  if (config["kind"] === "ExecCredential" && typeof printed === "string") return { kind: "token", token: printed };
  if (!("users" in config))
    return unusable("This is neither a token nor a kubeconfig. A token has three parts with dots between.");
  return ofUser(config);
}

type Fields = Readonly<Record<string, unknown>>;

const unusable = (why: string): Credential => ({ kind: "unusable", why });

const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};

/** An entry of `users` or `contexts`, which hold their content under `key`. */
function named(list: unknown, name: unknown, key: string): Fields | undefined {
  const entries = Array.isArray(list) ? list.map(fieldsOf) : [];
  const found = entries.find((entry) => entry["name"] === name);
  return found && fieldsOf(found[key]);
}

function ofUser(config: Fields): Credential {
  const current = config["current-context"];
  const users = Array.isArray(config["users"]) ? config["users"].map(fieldsOf) : [];
  const only = users.length === 1 ? users[0]?.["name"] : undefined;
  const name = named(config["contexts"], current, "context")?.["user"] ?? only;
  if (name === undefined)
    return unusable(
      current
        ? `The current context of this kubeconfig, ${String(current)}, is not in it. Choose another: kubectl config use-context NAME`
        : "This kubeconfig has no current context. Choose one: kubectl config use-context NAME",
    );
  const user = named(users, name, "user");
  if (!user) return unusable(`This kubeconfig names a user ${String(name)} whom it does not hold.`);
  const { token } = user;
  if (typeof token === "string" && token !== "") return { kind: "token", token };
  return unusable(`${whyNot(String(name), user)} Get a token as said below, and paste it here.`);
}

/** Why a page cannot sign in as this user. */
function whyNot(name: string, user: Fields): string {
  const holds = (key: string): boolean => user[key] !== undefined;
  if (holds("exec"))
    return `${name} signs in by the program ${String(fieldsOf(user["exec"])["command"] ?? "")}, which a page cannot run; what it prints can be pasted here.`;
  if (holds("auth-provider"))
    return `${name} signs in by the provider ${String(fieldsOf(user["auth-provider"])["name"] ?? "")}, which a page cannot ask.`;
  if (holds("client-certificate") || holds("client-certificate-data"))
    return `${name} signs in with a client certificate, which a page cannot show to the master.`;
  if (holds("tokenFile"))
    return `The token of ${name} is in the file ${String(user["tokenFile"])}, which a page cannot open.`;
  if (holds("username")) return `${name} signs in with a password, which Kubernetes no longer takes.`;
  return `The kubeconfig holds nothing to sign in with as ${name}.`;
}
