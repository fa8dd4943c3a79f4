// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"strata/internal/cli"
	"strata/internal/oci"
	"strata/internal/registry"
)

const defaultRegistry = "docker.io"

// maxPassword is how much of standard input is a password, in bytes.
const maxPassword = 64 << 10

// loginOptions are the flags of login.
type loginOptions struct {
	username, password, authFile string
	stdin                        bool
}

func newLoginCommand() *cli.Command {
	var o loginOptions
	c := &cli.Command{
		Use:   "login [OPTIONS] [REGISTRY]",
		Short: "Log in to a registry",
		Long: `Check a user name and a password with a registry (docker.io if none is named)
and keep them where Docker and Podman find them: with the credential helper
that is configured, or in $REGISTRY_AUTH_FILE or Docker's config.json.`,
		Max: 1,
	}
	c.Flags().StringVar(&o.username, "username", "u", "NAME", "user name")
	c.Flags().StringVar(&o.password, "password", "p", "PASSWORD", "password or token; others on this machine see it in the list of processes")
	c.Flags().BoolVar(&o.stdin, "password-stdin", "", "read the password from standard input")
	c.Flags().StringVar(&o.authFile, "authfile", "", "FILE", "keep the credentials here")
	c.Run = func(args []string) error {
		domain, err := registryOf(args)
		if err != nil {
			return err
		}
		if err := login(domain, o); err != nil {
			return fmt.Errorf("login %s: %w", domain, err)
		}
		_, err = fmt.Println("Login Succeeded")
		return err
	}
	return c
}

func newLogoutCommand() *cli.Command {
	var authFile string
	c := &cli.Command{Use: "logout [OPTIONS] [REGISTRY]", Short: "Forget a registry's password", Max: 1}
	c.Flags().StringVar(&authFile, "authfile", "", "FILE", "forget it here only")
	c.Run = func(args []string) error {
		domain, err := registryOf(args)
		if err != nil {
			return err
		}
		if err := logout(domain, authFile); err != nil {
			return fmt.Errorf("logout %s: %w", domain, err)
		}
		return nil
	}
	return c
}

// registryOf is the registry that is meant, as credentials are kept for it.
func registryOf(args []string) (string, error) {
	if len(args) == 0 {
		return defaultRegistry, nil
	}
	domain := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(args[0], "https://"), "http://"), "/")
	if strings.HasPrefix(domain, "index.docker.io") || domain == "registry-1.docker.io" {
		return defaultRegistry, nil
	}
	if ref, err := oci.ParseReference(domain + "/x/x"); err != nil || ref.Domain != domain {
		return "", cli.Usagef("%q is not a registry: write its host name, and a port where it has one", args[0])
	}
	return domain, nil
}

func login(domain string, o loginOptions) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	client, err := newClient(o.authFile)
	if err != nil {
		return err
	}
	defer client.Close()
	as, err := o.credentials()
	if err != nil {
		return err
	}
	warning, err := client.Login(ctx, domain, as)
	if warning != "" && err == nil {
		fmt.Fprintln(os.Stderr, "strata: warning: "+warning)
	}
	return err
}

func logout(domain, authFile string) error {
	client, err := newClient(authFile)
	if err != nil {
		return err
	}
	defer client.Close()
	found, err := client.Logout(context.Background(), domain)
	if err != nil {
		return err
	}
	text := "Not logged in to "
	if found {
		text = "Removing login credentials for "
	}
	_, err = fmt.Println(text + domain)
	return err
}

// credentials are those of the flags; what is missing is asked for.
func (o loginOptions) credentials() (c registry.Credentials, err error) {
	c.Username, c.Password = o.username, o.password
	switch {
	case o.stdin && o.password != "":
		return c, cli.Usagef("--password and --password-stdin are mutually exclusive")
	case strings.Contains(o.username, ":"):
		return c, cli.Usagef("a user name has no colon")
	case o.stdin && o.username == "":
		return c, cli.Usagef("give a --username with --password-stdin")
	case o.password != "":
		fmt.Fprintln(os.Stderr, "strata: warning: a password on the command line is seen by others; use --password-stdin")
	}
	if o.stdin {
		c.Password, err = readPassword(os.Stdin)
		return c, err
	}
	if c.Username != "" && c.Password != "" {
		return c, nil
	}
	return ask(c)
}

// readPassword takes everything there is, but for the end of the line.
func readPassword(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPassword+1))
	if err != nil {
		return "", err
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if password == "" || len(data) > maxPassword {
		return "", errors.New("there is no password on standard input")
	}
	return password, nil
}

// ask asks a person.
func ask(c registry.Credentials) (registry.Credentials, error) {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return c, cli.Usagef("standard input is no terminal: give --username and --password-stdin")
	}
	if c.Username == "" {
		fmt.Fprint(os.Stderr, "Username: ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			return c, err
		}
		c.Username = strings.TrimSpace(line)
	}
	if c.Username == "" {
		return c, cli.Usagef("a user name is needed")
	}
	if c.Password == "" {
		fmt.Fprint(os.Stderr, "Password: ")
		password, err := term.ReadPassword(in)
		fmt.Fprintln(os.Stderr)
		if err != nil {
			return c, err
		}
		c.Password = string(password)
	}
	if c.Password == "" {
		return c, cli.Usagef("a password is needed")
	}
	return c, nil
}
