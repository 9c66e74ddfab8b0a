/**
 * Replaces `$(NAME)` by the value of NAME; `$$` is a plain `$`, and a reference to a name that is not there stays as it
 * is. The syntax of env values, command and args.
 */
export function expand(input: string, lookUp: (name: string) => string | undefined): string {
  return input.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) =>
    name === undefined ? "$" : (lookUp(name) ?? whole),
  );
}
