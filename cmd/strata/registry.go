// SPDX-License-Identifier: Apache-2.0

package main

import "strata/internal/cli"

func newPullCommand() *cli.Command {
	c := remoteCommand("pull [OPTIONS] NAME[:TAG|@DIGEST]", "Get an image from a registry")
	c.Complete = completeImages
	return c
}

func newPushCommand() *cli.Command {
	c := remoteCommand("push [OPTIONS] NAME[:TAG]", "Send an image to its registry")
	c.Complete = completeImages
	return c
}

func newLoginCommand() *cli.Command {
	return remoteCommand("login [OPTIONS] [REGISTRY]", "Log in to a registry")
}

func newLogoutCommand() *cli.Command {
	return remoteCommand("logout [OPTIONS] [REGISTRY]", "Forget a registry's password")
}
