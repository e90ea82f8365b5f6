"""What every stand-in of a provider plugin needs: values, paths, errors, the gRPC side. Knows no provider."""
