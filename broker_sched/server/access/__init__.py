"""Who asks, and with which role. What each role may do is the table of contract/roles.py.

| module | what it knows |
| --- | --- |
| access | how a request is told from whom it comes, in which order its proofs count |
| certificates | who comes with a client certificate |
| caller | the one who asks, as the rest of the server sees them |
| grants | which role somebody has in which namespace, as it is written |
| id_tokens | whether an ID token of OpenID Connect can be trusted |
| login | the routes by which people log in and out with a browser |
| login_page | the HTML of these pages |
| oidc | logging in at an OpenID Connect provider, from the way there to the way back |
| oidc_config | who that provider is, and which claims give which roles |
| oidc_provider | what the provider is asked, and what it may answer |
| passwords | whether a password is right, at what cost, and who has given it before |
| remembered | how what Redis says of a secret counts for half a second |
| sessions | the sessions of browsers, their cookies, and what each goes back to |
| tokens | who holds which token |
| viewers | what a viewer is kept from, and how it is left out of a reply |
| users | the users who give a password, and how failing slows them down |
| users_file | the users file: a line for each user, and how it is watched and changed |
"""
