"""Array code below the networks: for a CPU, for a GPU, for cuDNN 9."""
